"""The flow that the figures are held against: everything is done after the question, one thing after another.

Key frames as the paper's extractor finds them with OpenCV's defaults at full resolution; then one blocking call of the
vision-language model per pair of key frames; then the language model.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import cv2
import httpx
import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.adapters.openai_replies import read_completion
from embodied_r_ros.core.prompts import PaperFormat, describe_prompt, focus_prompt
from embodied_r_ros.core.records import Question
from embodied_r_ros.evaluation.phrase_reader import from_words

THRESHOLD = 0.5
RANSAC_PX = 5.0
MIN_MATCHES = 10


class ReferenceKeyFrames:
    """ORB with OpenCV's defaults, cross-checked matches, a RANSAC homography, and masks for the overlap.

    The features of the last key frame are kept.
    """

    def __init__(self) -> None:
        self._orb = cv2.ORB_create()
        self._matcher = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True)
        self._last: tuple[Any, Any] | None = None

    def push(self, bgr: NDArray[np.uint8]) -> bool:
        """Whether the next sampled frame is a key frame."""
        found = self._orb.detectAndCompute(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), None)
        if self._last is not None and self._overlap(self._last, found, bgr.shape[:2]) >= THRESHOLD:
            return False
        self._last = found
        return True

    def _overlap(self, before: tuple[Any, Any], after: tuple[Any, Any], size_hw: tuple[int, ...]) -> float:
        if before[1] is None or after[1] is None:
            return 0.0
        pairs = self._matcher.match(before[1], after[1])
        if len(pairs) <= MIN_MATCHES:
            return 0.0
        old = np.array([before[0][pair.queryIdx].pt for pair in pairs], np.float32)
        new = np.array([after[0][pair.trainIdx].pt for pair in pairs], np.float32)
        homography, _ = cv2.findHomography(new, old, cv2.RANSAC, RANSAC_PX)
        if homography is None:
            return 0.0
        height, width = size_hw
        corners = np.array([[[0, 0]], [[width, 0]], [[width, height]], [[0, height]]], np.float32)
        moved = cv2.perspectiveTransform(corners, homography)
        masks = [cv2.fillPoly(np.zeros((height, width), np.uint8), [np.int32(quad)], 1) for quad in (corners, moved)]
        return float(np.count_nonzero(masks[0] & masks[1])) / (width * height)


def key_frames(pictures: Sequence[NDArray[np.uint8]]) -> list[int]:
    """Positions of the key frames among sampled pictures."""
    extractor = ReferenceKeyFrames()
    return [place for place, picture in enumerate(pictures) if extractor.push(picture)]


class ReferenceFlow:
    """Answers a question about encoded pictures with two models, one call at a time.

    Args:
        vlm_url, lm_url: servers, with /v1.
        vlm, lm: model names.
        max_tokens: of a description and of a thought.
    """

    def __init__(self, vlm_url: str, vlm: str, lm_url: str, lm: str, max_tokens: tuple[int, int] = (512, 2048)) -> None:
        self._http = httpx.Client(timeout=600.0, trust_env=False)
        self._servers = ((vlm_url, vlm, max_tokens[0]), (lm_url, lm, max_tokens[1]))

    def answer(self, jpegs: Sequence[bytes], question: Question) -> str:
        """The reply of the language model; every picture is decoded, looked at as a key frame, and captioned."""
        pictures = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in jpegs]
        places = key_frames(pictures)
        observations = [
            from_words(session=0, index=index, stamp_ns=index, action='move forward' if index else '', text=text)
            for index, text in enumerate(self._captions([jpegs[place] for place in places], question))
        ]
        prompt = PaperFormat().ask(question, observations)
        messages = [{'role': message.role, 'content': message.content} for message in prompt.messages]
        return self._chat(1, messages, temperature=0.0)

    def _captions(self, jpegs: Sequence[bytes], question: Question) -> list[str]:
        captions = []
        for index, current in enumerate(jpegs):
            shown = [current] if index == 0 else [jpegs[index - 1], current]
            text = f'{describe_prompt(index > 0).text}\n{focus_prompt(index > 0, question.text).text}'
            parts: list[dict[str, Any]] = [{'type': 'image_url', 'image_url': {'url': _url(data)}} for data in shown]
            captions.append(self._chat(0, [{'role': 'user', 'content': [*parts, {'type': 'text', 'text': text}]}]))
        return captions

    def _chat(self, which: int, messages: list[dict[str, Any]], **options: Any) -> str:
        url, model, max_tokens = self._servers[which]
        body = {'model': model, 'messages': messages, 'max_tokens': max_tokens, **options}
        reply = self._http.post(f'{url}/chat/completions', json=body)
        reply.raise_for_status()
        return read_completion(reply.content).text or 'nothing'


def _url(data: bytes) -> str:
    return f'data:image/jpeg;base64,{base64.b64encode(data).decode()}'
