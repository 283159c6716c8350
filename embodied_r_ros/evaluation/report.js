'use strict';
const filters = [...document.querySelectorAll('#filters select')];
const questions = [...document.querySelectorAll('article.question')];
const shown = document.getElementById('shown');

function apply() {
  let count = 0;
  for (const question of questions) {
    const matches = filters.every((one) => one.value === '' || question.dataset[one.name] === one.value);
    question.hidden = !matches;
    count += matches;
  }
  shown.textContent = `${count} of ${questions.length} questions shown`;
}

function unfold() {
  const named = questions.find((one) => `#${one.id}` === location.hash);
  if (named) {
    named.querySelector('details').open = true;
    named.scrollIntoView();
  }
}

for (const one of filters) one.addEventListener('change', apply);
document.getElementById('filters').addEventListener('reset', () => setTimeout(apply));
apply();
window.addEventListener('hashchange', unfold);
unfold();
