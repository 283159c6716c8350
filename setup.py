"""Installs the package; data, config and launch files go to the share folder."""

import pathlib
import xml.etree.ElementTree

from setuptools import find_packages, setup

NAME = 'embodied_r_ros'
SHARED = {'launch': '*.launch.py', 'config': '**/*', 'data': '**/*'}


def shared_files():
    """Each shared folder below share/ with the files that go into it."""
    files = {f'share/{NAME}': ['package.xml', 'LICENSE']}
    for folder, pattern in SHARED.items():
        for path in sorted(pathlib.Path(folder).glob(pattern)):
            if path.is_file() and not path.name.startswith('.'):
                files.setdefault(f'share/{NAME}/{path.parent.as_posix()}', []).append(path.as_posix())
    return sorted(files.items())


setup(
    name=NAME,
    version=xml.etree.ElementTree.parse('package.xml').findtext('version'),
    description="Answers spatial questions about what a robot's camera has seen.",
    license='Apache-2.0',
    maintainer='embodied_r_ros maintainers',
    maintainer_email='maintainers@embodied-r-ros.example',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    package_data={NAME: ['py.typed', 'evaluation/report.*']},
    data_files=[('share/ament_index/resource_index/packages', [f'resource/{NAME}']), *shared_files()],
    python_requires='>=3.10',
    install_requires=['httpx', 'Jinja2', 'matplotlib', 'numpy', 'PyYAML', 'tqdm'],
    extras_require={
        'opencv': ['opencv-python-headless>=4.7'],
        'tags': ['pupil-apriltags>=1.0.4'],
        'signs': ['rapidocr>=3', 'onnxruntime'],
        'bags': ['rosbags>=0.11,<0.12'],
        'ray': ['ray>=2.9'],
        'transformers': ['torch', 'transformers>=5', 'accelerate'],
        'training': [
            'accelerate>=1.15',
            'gguf>=0.19',
            'peft>=0.21.2',
            'rosbags>=0.11,<0.12',
            'safetensors>=0.8',
            'tensorboard>=2.21',
            'torch>=2.13',
            'transformers>=5.20',
            'trl>=1.14',
        ],
        'vllm': ['vllm'],
    },
    zip_safe=False,
    entry_points={
        'console_scripts': [
            'camera_node = embodied_r_ros.nodes.camera_node:main',
            'perception_node = embodied_r_ros.nodes.perception_node:main',
            'reasoning_node = embodied_r_ros.nodes.reasoning_node:main',
            'bag_player_node = embodied_r_ros.nodes.bag_player_node:main',
            'ask = embodied_r_ros.ros_client.ask:main',
            'watch = embodied_r_ros.ros_client.watch:main',
        ],
    },
)
