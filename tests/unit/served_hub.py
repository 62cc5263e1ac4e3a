"""A hub of Hugging Face on this machine, as far as an upload asks for one."""

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of a hub as an upload asks of one."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, bytes]]

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append((f"{self.command} {self.path}", body))
        route = self.path.partition("?")[0]
        files = json.loads(body).get("files", []) if route.endswith("/preupload/main") else []
        modes = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]
        found = {
            "/api/whoami-v2": {"name": "me", "type": "user", "orgs": []},
            "/api/repos/create": {"url": "https://huggingface.co/me/m", "id": "me/m"},
            "/api/validate-yaml": {"errors": [], "warnings": []},
            "/api/models/me/m/preupload/main": {"files": modes},
            "/api/models/me/m/commit/main": {
                "success": True,
                "commitOid": "0" * 40,
                "commitUrl": "https://huggingface.co/me/m/commit/1",
                "hookOutput": "",
            },
            "/api/models/me/m/revision/main": {"id": "me/m", "sha": "0" * 40, "siblings": []},
            "/api/models/me/m": {"id": "me/m", "sha": "0" * 40, "siblings": []},
        }.get(route)
        text = json.dumps(found or {"error": route}).encode()
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_HEAD = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served_hub(asked: list[tuple[str, bytes]]) -> Iterator[str]:
    """Yield the address of a hub that notes what it is asked."""
    handler = type("Asked", (Hub,), {"asked": asked})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
