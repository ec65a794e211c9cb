"""Whether the server is ready, for the waiting page and for scripts."""

from fastapi import APIRouter, Request

from workbench.app.house import House
from workbench.app.roles import Routes


def routes(house: House) -> APIRouter:
    router = Routes(house.accounts)

    @router.at("GET", "/healthz", None)
    def healthz(request: Request) -> dict[str, bool]:
        return {"ready": True}

    return router
