"""A Hub on loopback with as much of its interface as an upload, a download and `load_dataset` need."""

import base64
import hashlib
import json
import threading
import time
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

LFS = (".parquet", ".safetensors")
TOKEN = "hf_" + "fakeCanary0123456789"


class Repo:
    def __init__(self, private: bool) -> None:
        self.private, self.tags = private, {}
        self.commits: list[tuple[str, dict[str, bytes]]] = []
        self.add({".gitattributes": b"*.parquet filter=lfs\n"})

    def add(self, files: dict[str, bytes]) -> str:
        name = hashlib.sha1(repr((len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits.append((name, files))
        return name

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        revision = self.tags.get(revision, revision)
        if revision == "main":
            return self.commits[-1]
        return next((c for c in self.commits if c[0] == revision), None)


class FakeHub:
    """`repos` by (kind, name); `failures` are statuses that the next requests get instead of an answer."""

    def __init__(self) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.failures: list[int] = []
        self.requests: list[tuple[str, str]] = []
        self.url = ""

    def files(self, kind: str, name: str) -> dict[str, bytes]:
        return self.repos[kind, name].commits[-1][1]


def missing(code: str) -> Response:
    return JSONResponse({"error": code}, 404, {"X-Error-Code": code, "X-Error-Message": code})


def entry(path: str, data: bytes) -> dict[str, Any]:
    oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    found = {"type": "file", "path": path, "size": len(data), "oid": oid}
    if path.endswith(LFS):
        found["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return found


def create_app(hub: FakeHub) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def gate(request: Request, go_on: Any) -> Response:
        hub.requests.append((request.method, request.url.path))
        if hub.failures:
            return JSONResponse({"error": "busy"}, hub.failures.pop(0))
        writes = request.method in ("POST", "PUT") and not request.url.path.endswith("paths-info/main")
        if writes and request.headers.get("authorization") != f"Bearer {TOKEN}" and "/objects/" not in request.url.path:
            return JSONResponse({"error": "who are you"}, 401)
        return await go_on(request)

    @app.get("/api/whoami-v2")
    def whoami() -> dict[str, Any]:
        return {"name": "someone", "type": "user", "auth": {"accessToken": {"role": "write"}}}

    @app.post("/api/validate-yaml")
    def validate() -> dict[str, Any]:
        return {"errors": [], "warnings": []}

    @app.post("/api/repos/create")
    async def create(request: Request) -> Response:
        body = await request.json()
        kind = body.get("type", "model") + "s"
        name = f"{body.get('organization') or 'someone'}/{body['name']}"
        url = f"{hub.url}/{'datasets/' if kind == 'datasets' else ''}{name}"
        if (kind, name) in hub.repos:
            return JSONResponse({"url": url, "error": "exists"}, 409)
        hub.repos[kind, name] = Repo(body.get("visibility") == "private")
        return JSONResponse({"url": url, "name": name})

    base = "/api/{kind}/{owner}/{name}"

    @app.post(base + "/preupload/{revision}")
    async def preupload(request: Request) -> dict[str, Any]:
        body = await request.json()
        mode = {f["path"]: "lfs" if f["path"].endswith(LFS) else "regular" for f in body["files"]}
        return {"files": [{"path": p, "uploadMode": m, "shouldIgnore": False, "oid": None} for p, m in mode.items()]}

    @app.post(base + "/commit/{revision}")
    async def commit(kind: str, owner: str, name: str, request: Request) -> Response:
        repo = hub.repos[kind, f"{owner}/{name}"]
        lines = [json.loads(line) for line in (await request.body()).splitlines()]
        files = dict(repo.commits[-1][1])
        for line in lines:
            value = line["value"]
            if line["key"] == "header" and value.get("parentCommit", repo.commits[-1][0]) != repo.commits[-1][0]:
                return JSONResponse({"error": "changed"}, 412)
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = hub.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                files.pop(value["path"])
        oid = repo.add(files)
        return JSONResponse({"commitUrl": f"{hub.url}/{owner}/{name}/commit/{oid}", "commitOid": oid})

    @app.post(base + "/tag/{revision}")
    async def tag(kind: str, owner: str, name: str, revision: str, request: Request) -> Response:
        hub.repos[kind, f"{owner}/{name}"].tags[(await request.json())["tag"]] = revision
        return JSONResponse({})

    def found(kind: str, owner: str, name: str, revision: str) -> tuple[str, dict[str, bytes]] | Response:
        repo = hub.repos.get((kind, f"{owner}/{name}"))
        if repo is None:
            return missing("RepoNotFound")
        return repo.at(revision) or missing("RevisionNotFound")

    @app.get(base)
    @app.get(base + "/revision/{revision}")
    def info(kind: str, owner: str, name: str, revision: str = "main") -> Any:
        at = found(kind, owner, name, revision)
        if isinstance(at, Response):
            return at
        siblings = [{"rfilename": path} for path in sorted(at[1])]
        return {
            "id": f"{owner}/{name}",
            "sha": at[0],
            "private": True,
            "siblings": siblings,
            "tags": [],
            "gated": False,
        }

    @app.get(base + "/tree/{revision}")
    @app.get(base + "/tree/{revision}/{folder:path}")
    def tree(kind: str, owner: str, name: str, revision: str, folder: str = "", recursive: bool = False) -> Any:
        at = found(kind, owner, name, revision)
        if isinstance(at, Response):
            return at
        start = f"{folder}/" if folder else ""
        inside = {p: entry(p, d) for p, d in sorted(at[1].items()) if p.startswith(start)}
        parents = {p[: p.index("/", len(start))] for p in inside if "/" in p[len(start) :]}
        folders = [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in sorted(parents)]
        files = [e for p, e in inside.items() if recursive or "/" not in p[len(start) :]]
        return [*folders, *files] or missing("EntryNotFound")

    @app.post(base + "/paths-info/{revision}")
    async def paths_info(kind: str, owner: str, name: str, revision: str, request: Request) -> Any:
        at = found(kind, owner, name, revision)
        if isinstance(at, Response):
            return at
        if "json" in request.headers.get("content-type", ""):
            paths = (await request.json())["paths"]
        else:
            paths = (await request.form()).getlist("paths")
        files = [entry(path, at[1][path]) for path in paths if path in at[1]]
        folders = {path for path in paths for file in at[1] if file.startswith(f"{path}/")}
        return files + [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in sorted(folders)]

    @app.post("/datasets/{owner}/{name}.git/info/lfs/objects/batch")
    @app.post("/{owner}/{name}.git/info/lfs/objects/batch")
    async def batch(request: Request) -> dict[str, Any]:
        body = await request.json()
        objects = [
            {**o, "actions": {"upload": {"href": f"{hub.url}/objects/{o['oid']}", "header": {}}}}
            for o in body["objects"]
        ]
        return {"transfer": "basic", "objects": objects}

    @app.put("/objects/{oid}")
    async def put(oid: str, request: Request) -> Response:
        data = await request.body()
        if hashlib.sha256(data).hexdigest() != oid:
            return JSONResponse({"error": "hash"}, 422)
        hub.objects[oid] = data
        return Response()

    @app.api_route("/datasets/{owner}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
    def resolve_dataset(owner: str, name: str, revision: str, path: str, request: Request) -> Response:
        return resolve("datasets", owner, name, revision, path, request)

    @app.api_route("/{owner}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
    def resolve_model(owner: str, name: str, revision: str, path: str, request: Request) -> Response:
        return resolve("models", owner, name, revision, path, request)

    def resolve(kind: str, owner: str, name: str, revision: str, path: str, request: Request) -> Response:
        at = found(kind, owner, name, revision)
        if isinstance(at, Response):
            return at
        if path not in at[1]:
            return missing("EntryNotFound")
        data = at[1][path]
        headers = {"X-Repo-Commit": at[0], "ETag": f'"{hashlib.sha256(data).hexdigest()}"', "Accept-Ranges": "bytes"}
        if asked := request.headers.get("range"):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(int(last or len(data)), len(data) - 1)
            headers["Content-Range"] = f"bytes {start}-{stop}/{len(data)}"
            return Response(data[start : stop + 1], 206, headers)
        return Response(data, headers=headers, media_type="application/octet-stream")

    return app


@contextmanager
def running() -> Any:
    """A fake Hub with its address, until the end of the block."""
    hub = FakeHub()
    server = uvicorn.Server(uvicorn.Config(create_app(hub), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    hub.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield hub
    finally:
        server.should_exit = True
        thread.join()
