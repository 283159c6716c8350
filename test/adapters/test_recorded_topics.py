"""Which topics of a recording are read."""

from __future__ import annotations

import logging

import pytest

from embodied_r_ros.adapters.recorded_topics import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    ODOMETRY,
    RAW_IMAGE,
    VIDEO,
    choose_topics,
)
from embodied_r_ros.core.errors import InputError

MANY = {
    '/depth/image_raw/compressed': (COMPRESSED_IMAGE, 900),
    '/front/image_raw': (RAW_IMAGE, 300),
    '/front/image_raw/compressed': (COMPRESSED_IMAGE, 300),
    '/front/camera_info': (CAMERA_INFO, 300),
    '/rear/image_raw/compressed': (COMPRESSED_IMAGE, 200),
    '/rear/camera_info': (CAMERA_INFO, 900),
    '/odom': (ODOMETRY, 900),
    '/odom/wheels': (ODOMETRY, 100),
    '/never': (ODOMETRY, 0),
}


def test_topics_are_found_by_type() -> None:
    chosen = choose_topics(MANY)
    assert (chosen.image, chosen.camera_info, chosen.odometry) == (
        '/front/image_raw/compressed',
        '/front/camera_info',
        '/odom',
    )


def test_topics_may_be_named() -> None:
    chosen = choose_topics(MANY, '/rear/image_raw/compressed', '/odom/wheels')
    assert (chosen.image, chosen.camera_info, chosen.odometry) == (
        '/rear/image_raw/compressed',
        '/rear/camera_info',
        '/odom/wheels',
    )
    assert choose_topics(MANY, '/depth/image_raw/compressed').image == '/depth/image_raw/compressed'


@pytest.mark.parametrize(
    ('named', 'message'),
    [
        (
            ('/side', None, None),
            r"topic '/side' must be one of the recording with images: /depth/image_raw/compressed, /fr",
        ),
        (('/odom', None, None), r"topic '/odom' must be one .* with images"),
        ((None, '/never', None), r"topic '/never' must be one .* with odometry: /odom, /odom/wheels"),
        ((None, None, '/tf'), r"topic '/tf' must be one .* with camera_info"),
    ],
    ids=['unknown', 'of another type', 'without messages', 'no calibration'],
)
def test_a_topic_that_is_not_there_is_named(named: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_topics(MANY, *named)


def test_what_is_not_recorded_is_none() -> None:
    chosen = choose_topics({'/image': (RAW_IMAGE, 1)})
    assert (chosen.odometry, chosen.camera_info) == (None, None)


def chosen(*names: str, **encodings: str) -> tuple[str, str | None, str | None]:
    """What is chosen of topics whose kind their name tells."""
    kinds = {'camera_info': CAMERA_INFO, 'odom': ODOMETRY, 'filtered': ODOMETRY, 'compressed': COMPRESSED_IMAGE}
    topics = {name: (kinds.get(name.rpartition('/')[2], RAW_IMAGE), 1000 - place) for place, name in enumerate(names)}
    told = {name: encodings[name.strip('/').replace('/', '_')] for name in names
            if name.strip('/').replace('/', '_') in encodings}  # fmt: skip
    found = choose_topics(topics, encodings=told)
    return found.image, found.camera_info, found.odometry


@pytest.mark.parametrize(
    ('names', 'encodings', 'image'),
    [
        (('/camera/infra1/image_rect', '/camera/color/image_raw'), {}, '/camera/color/image_raw'),
        (('/cam/ir/image', '/cam/image'), {}, '/cam/image'),
        (('/seg/mask/compressed', '/cam/image_raw'), {}, '/cam/image_raw'),
        (('/tof/confidence', '/tof/ir'), {}, '/tof/ir'),
        (('/a/image', '/b/image'), {'a_image': '16UC1'}, '/b/image'),
        (('/a/image', '/b/image'), {'a_image': 'mono8'}, '/b/image'),
        (('/a/compressed', '/b/compressed'), {'a_compressed': '16UC1; compressedDepth png'}, '/b/compressed'),
        (('/camera_a/image_raw', '/camera_b/image_raw', '/camera_b/camera_info'), {}, '/camera_b/image_raw'),
        (('/cam/image_raw', '/cam/image_raw/compressed'), {}, '/cam/image_raw/compressed'),
    ],
    ids=['infra', 'ir', 'mask', 'confidence', 'depth by encoding', 'grey by encoding', 'compressed depth', 'calibrated',
         'compressed'],
)  # fmt: skip
def test_a_view_in_colour_comes_first_whatever_the_counts(names: tuple, encodings: dict, image: str) -> None:
    assert chosen(*names, **encodings)[0] == image


@pytest.mark.parametrize(
    ('names', 'info'),
    [
        (('/cam/image_raw/compressed', '/cam/camera_info'), '/cam/camera_info'),
        (('/cam/compressed', '/cam/camera_info'), '/cam/camera_info'),
        (('/image_raw', '/camera_info'), '/camera_info'),
        (('/cam/rgb/image_raw', '/cam/camera_info'), '/cam/camera_info'),
        (('/camera_back/image_raw', '/camera_front/camera_info'), None),
        (('/camera/color/image_raw', '/camera/depth/camera_info'), None),
        (('/back/image_mono', '/camera_info', '/image_mono'), '/camera_info'),
        (('/cam/image', '/camera/camera_info'), None),
    ],
    ids=['beside', 'within', 'at the root', 'above', 'another camera', 'of the depth', 'the calibrated one', 'alike'],
)
def test_a_calibration_is_never_that_of_another_camera(names: tuple, info: str | None) -> None:
    assert chosen(*names)[1] == info


def test_a_calibration_beside_another_image_is_not_for_those_below(caplog: pytest.LogCaptureFixture) -> None:
    topics = {'/image_raw': (RAW_IMAGE, 1), '/back/image_raw': (RAW_IMAGE, 1), '/camera_info': (CAMERA_INFO, 1)}
    assert choose_topics(topics, '/back/image_raw').camera_info is None
    assert 'no camera_info belongs to /back/image_raw by its name (there is /camera_info)' in caplog.text


@pytest.mark.parametrize(
    ('names', 'odometry'),
    [
        (('/zed/odom', '/odom'), '/odom'),
        (('/odometry/filtered', '/wheels/odom'), '/wheels/odom'),
        (('/odometry/filtered',), '/odometry/filtered'),
    ],
)
def test_odometry_is_that_which_is_called_so(names: tuple, odometry: str) -> None:
    assert chosen('/image', *names)[2] == odometry


def test_what_was_chosen_among_what_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        choose_topics(MANY)
    images = 'images are read from /front/image_raw/compressed, not from /rear/image_raw/compressed; '
    assert f'{images}choose another with --image-topic' in caplog.text
    assert 'odometry is read from /odom, not from /odom/wheels; choose another with --odom-topic' in caplog.text


def test_a_single_camera_needs_no_words(caplog: pytest.LogCaptureFixture) -> None:
    chosen('/cam/image_raw', '/cam/image_raw/compressed', '/cam/camera_info', '/odom')
    assert caplog.text == ''


@pytest.mark.parametrize('kind', VIDEO)
def test_a_recording_of_video_only_gets_the_way_out(kind: str) -> None:
    with pytest.raises(
        InputError, match=r'got video on /cam/h264; republish it as sensor_msgs/CompressedImage, as `ros2 run'
    ):
        choose_topics({'/cam/h264': (kind, 5)})


def test_distances_alone_are_no_images() -> None:
    with pytest.raises(InputError, match=r'must have images, got topics /cam/depth/image'):
        choose_topics({'/cam/depth/image': (RAW_IMAGE, 5)})
