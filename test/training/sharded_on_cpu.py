"""`accelerate launch` of training.grpo on two gloo ranks of a CPU, sharded as GPUs are; takes what that command takes.

accelerate shards nothing on a CPU, so FSDP gets a CPU for a GPU. DeepSpeed does, but compiles collectives of its own.
The ranks are forked, not started by torchrun, so that they share one import.
"""

import os
import sys

import torch.distributed.run
from accelerate import PartialState
from accelerate.commands.launch import launch_command, launch_command_parser
from accelerate.utils import DistributedType
from torch.multiprocessing import start_processes

from training import grpo

begin = PartialState.__init__


def begin_as_on_gpus(state, *args, **kwargs):
    begin(state, *args, **kwargs)
    if state.distributed_type == DistributedType.MULTI_CPU:
        told = DistributedType.MULTI_GPU
        if os.environ.get('ACCELERATE_USE_DEEPSPEED') == 'true':
            told = DistributedType.DEEPSPEED
            sys.modules['deepspeed'].init_distributed('gloo')
        PartialState._shared_state['distributed_type'] = told


def fork(told):
    ranks = int(told.nproc_per_node)
    os.environ |= {'WORLD_SIZE': str(ranks), 'LOCAL_WORLD_SIZE': str(ranks)}
    os.environ |= {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': told.master_port}
    start_processes(run, (told.training_script_args,), ranks, start_method='fork')


def run(rank, arguments):
    os.environ |= {'RANK': str(rank), 'LOCAL_RANK': str(rank)}
    PartialState.__init__ = begin_as_on_gpus
    sys.exit(grpo.main(arguments))


if __name__ == '__main__':
    told = launch_command_parser().parse_args(['--main_process_port', '0', *sys.argv[1:]])
    if 'zero3' in told.config_file:
        import deepspeed

        deepspeed.ops.__compatible_ops__['deepspeed_shm_comm'] = False
    torch.distributed.run.run = fork
    launch_command(told)
