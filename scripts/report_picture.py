"""Makes docs/report.jpg anew: of the report about the sample recordings the first question. Needs chromium.

.venv/bin/python scripts/report_picture.py
"""

import pathlib
import subprocess
import sys
import tempfile

import cv2

ROOT = pathlib.Path(__file__).resolve().parents[1]
PICTURE = ROOT / 'docs/report.jpg'
QUESTIONS = '<h2>Questions</h2>'
SIZE_PX = (1280, 1040)
WIDTH_PX, QUALITY = 960, 80


def main() -> None:
    """Evaluate, unfold the first question, take its picture."""
    with tempfile.TemporaryDirectory() as folder:
        report, shot = pathlib.Path(folder) / 'report.html', pathlib.Path(folder) / 'shot.png'
        evaluate = [sys.executable, '-m', 'embodied_r_ros', 'evaluate', 'data/questions.jsonl', '--media', 'data/bags']
        subprocess.run([*evaluate, '--report', str(report), '--cache', f'{folder}/cache'], cwd=ROOT, check=True)
        head, _, page = report.read_text('utf-8').partition('<header>')
        questions = page.partition(QUESTIONS)[2].replace('<details>', '<details open>', 1)
        report.write_text(f'{head}<main>{QUESTIONS}{questions}', 'utf-8')
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
        subprocess.run([*browser, *own, report.as_uri()], check=True)
        picture = cv2.imread(str(shot))
        height_px = round(picture.shape[0] * WIDTH_PX / picture.shape[1])
        small = cv2.resize(picture, (WIDTH_PX, height_px), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(PICTURE), small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


if __name__ == '__main__':
    main()
