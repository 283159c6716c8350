"""The English in which questions are put: phrasings to train on, phrasings held out, and words for the choices."""

from __future__ import annotations

from embodied_r_ros.core import question_words as forms

PHRASINGS = {
    forms.LANDMARK_POSITION: (
        'Where is the {0} now?',
        'Where is the {0} from where I stand now?',
        'In which direction is the {0}?',
        'Which way is the {0} from here?',
        'On which side of me is the {0} right now?',
    ),
    forms.COUNTERFACTUAL: (
        'If I had turned {side} instead of {other} at my {ordinal} turn, where would the {0} be now?',
        'Suppose my {ordinal} turn had been to the {side} instead of to the {other}: where would the {0} be now?',
        'Had I turned {side} and not {other} at my {ordinal} turn, on which side of me would the {0} be?',
    ),
    forms.PROGRESS_EVALUATION: (
        'My instructions are: {plan}. Which step am I on?',
        'I was told: {plan}. Which step am I executing now?',
        'The plan is: {plan}. At which step of it am I?',
    ),
    forms.ACTION_GENERATION: (
        'What should I do next to get to the {0}?',
        'Which action takes me to the {0}?',
        'What is the best next action to reach the {0}?',
        'How do I move now to head for the {0}?',
    ),
    forms.RELATIVE_DISTANCE: (
        'Which of these is closest to the {0}?',
        'Which of these things is nearest to the {0}?',
        'Which one stands closest to the {0}?',
    ),
    forms.RELATIVE_DIRECTION: (
        'Standing at the {0} and facing the {1}, where is the {2}?',
        'If I stand by the {0} and look at the {1}, on which side is the {2}?',
        'I am at the {0}, facing the {1}. In which direction is the {2}?',
    ),
    forms.ROUTE_PLANNING: (
        'I am at the {0} facing the {1}. I walk to the {1}, then to the {2}, then to the {3}. Which turns do I make?',
        'Starting at the {0} and facing the {1}, I go to the {1}, turn, go to the {2}, turn, and go to the {3}. '
        'Which two turns are these?',
        'From the {0}, facing the {1}, I go to the {1}, then to the {2} and then to the {3}. '
        'How do I turn at the {1} and at the {2}?',
    ),
    forms.APPEARANCE_ORDER: (
        'In which order did I first see the {list}?',
        'In what order did the {list} appear?',
        'What is the order in which the {list} came into view?',
    ),
}

SIDES = (
    {'ahead': 'ahead', 'right': 'to the right', 'behind': 'behind', 'left': 'to the left'},
    {'ahead': 'in front of me', 'right': 'on my right', 'behind': 'behind me', 'left': 'on my left'},
    {'ahead': 'straight ahead', 'right': 'right', 'behind': 'behind', 'left': 'left'},
)
ACTIONS = (
    {
        'forward': 'go straight ahead',
        'turn-right': 'turn right',
        'turn-around': 'turn around',
        'turn-left': 'turn left',
    },
    {'forward': 'move forward', 'turn-right': 'rotate right', 'turn-around': 'turn back', 'turn-left': 'rotate left'},
)
TURN_WORDS = {'right': 'right', 'left': 'left', 'behind': 'back'}
ORDINALS = ('first', 'second', 'third', 'fourth', 'fifth', 'sixth', 'seventh', 'eighth')
