"""Makes docs/report.jpg anew: the report about the sample recordings, its first question unfolded. Needs chromium.

.venv/bin/python scripts/report_picture.py
"""

import pathlib
import subprocess
import sys
import tempfile

import cv2

ROOT = pathlib.Path(__file__).resolve().parents[1]
PICTURE = ROOT / 'docs/report.jpg'
SIZE_PX = (1280, 860)
QUALITY = 80


def main() -> None:
    """Evaluate, show, take the picture."""
    with tempfile.TemporaryDirectory() as folder:
        report, shot = pathlib.Path(folder) / 'report.html', pathlib.Path(folder) / 'shot.png'
        evaluate = [sys.executable, '-m', 'embodied_r_ros', 'evaluate', 'data/questions.jsonl', '--media', 'data/bags']
        subprocess.run([*evaluate, '--report', str(report), '--cache', f'{folder}/cache'], cwd=ROOT, check=True)
        size = ','.join(map(str, SIZE_PX))
        browser = [
            'chromium',
            '--headless',
            '--no-sandbox',
            '--disable-gpu',
            '--hide-scrollbars',
            f'--window-size={size}',
        ]
        own = [f'--user-data-dir={folder}/profile', f'--screenshot={shot}']
        subprocess.run([*browser, *own, f'{report.as_uri()}#q1'], check=True)
        cv2.imwrite(str(PICTURE), cv2.imread(str(shot)), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


if __name__ == '__main__':
    main()
