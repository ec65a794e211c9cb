"""Whether the server is ready, for the waiting page and for scripts."""

from fastapi import APIRouter

from workbench.app.house import House


def routes(house: House) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz")
    def healthz() -> dict[str, bool]:
        return {"ready": True}

    return router
