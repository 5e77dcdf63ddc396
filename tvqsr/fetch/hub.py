"""Files of data sets on the Hugging Face Hub, by its `resolve` address.

Our own transfer, and not `hf_hub_download`, so that resuming, hashes, progress and faults are the same everywhere; its
endpoint (HF_ENDPOINT) and its token are huggingface_hub's.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import requests

from tvqsr.errors import UserError
from tvqsr.fetch.client import Bearer, Client, check_status, is_page
from tvqsr.fetch.faults import RefusedError


class HubFile:
    """A file of a revision of a data set."""

    def __init__(self, repository: str, path: str, revision: str) -> None:
        from huggingface_hub import constants

        self.repository = f"{constants.ENDPOINT}/datasets/{repository}"
        below = f"{quote(revision, safe='')}/{quote(path)}"
        self.url, self.browser = f"{self.repository}/resolve/{below}", f"{self.repository}/blob/{below}"

    def ask(self, client: Client, headers: Mapping[str, str]) -> requests.Response:
        """The answer that holds the file. Raises RefusedError or PassingError."""
        from huggingface_hub import get_token

        token = get_token()
        response = client.get(self.url, headers, Bearer(token) if token else None)
        if response.status_code in (401, 403, 404):
            raise RefusedError(self._refusal(response.headers.get("X-Error-Code"), response.status_code))
        check_status(response)
        if is_page(response):
            raise RefusedError("answers with a web page instead of the file")
        return response

    def _refusal(self, code: str | None, status: int) -> str:
        """Why the Hub refuses, by its X-Error-Code."""
        if code == "GatedRepo":
            return f"is given to those who accept its terms: do so at {self.repository}, then run `hf auth login`"
        if code == "RepoNotFound":
            return f"no such data set on the Hub, or a private one: see {self.repository}, and run `hf auth login`"
        if code in ("EntryNotFound", "RevisionNotFound"):
            return f"no such {'file' if code == 'EntryNotFound' else 'revision'} in that data set"
        return f"answers {status}: access refused" if status != 404 else "answers 404, not there"


def hub_file(rest: str) -> HubFile:
    """The file of `OWNER/NAME/PATH@REVISION`. Raises UserError for anything else."""
    path, _, revision = rest.rpartition("@")
    parts = path.split("/", 2)
    if not revision or len(parts) != 3 or not all(parts):
        raise UserError(f"hub:{rest}: expected hub:OWNER/NAME/PATH@REVISION")
    return HubFile("/".join(parts[:2]), parts[2], revision)
