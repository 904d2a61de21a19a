from __future__ import annotations

import json
import subprocess
import sys

from support.deliveries import HEADER, SECRET
from support.repository import ROOT, load_benchmark

from airflow_provider_toggl.core.webhooks.signature import is_signed, parse_signature

load = load_benchmark("harness/webhook_load")
ORDER = {"url": "http://127.0.0.1:1/hook", "secret": SECRET, "header": HEADER, "first_id": 5, "requests": 3}


def test_a_long_result_is_printed_whole_where_output_is_not_buffered() -> None:
    program = "import webhook_load; webhook_load.print_result({'taken': list(range(200_000))})"
    folder = ROOT / "benchmarks" / "harness"
    done = subprocess.run([sys.executable, "-u", "-c", program], cwd=folder, stdout=subprocess.PIPE, check=True)
    assert len(json.loads(done.stdout)["taken"]) == 200_000


def test_what_is_sent_is_signed_and_each_has_its_id() -> None:
    sent = list(load.requests_of(ORDER))
    assert [event_id for event_id, _ in sent] == [5, 6, 7]
    for event_id, request in sent:
        head, _, body = request.partition(b"\r\n\r\n")
        headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        assert is_signed([SECRET], body, parse_signature([headers[HEADER.encode()]]))
        assert int(headers[b"Content-Length"]) == len(body)
        assert json.loads(body)["event_id"] == event_id
