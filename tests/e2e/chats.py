"""A stage whose models speak OpenAI's API, each known to its server by another name."""

from functools import cached_property
from typing import Any

import openai

from tests.e2e.stage import Stage, experiment, model
from tests.harness.client import Answer, fetch
from tests.harness.openai_server import OpenAIServer

CHAT = "/v1/chat/completions"
LLAMA, QWEN, MINI = "meta-llama/Llama-3.1-8B:fp8", "qwen3:8b", "mini"
ROUTES = {":llama_1:": LLAMA, ":qwen_3:": QWEN}


class Chats(Stage):
    """A stage whose models are OpenAI's: `chat` between llama and qwen, with mini as a mirror that gets everything."""

    def open(self, topology: str, *more: str) -> None:
        self.llama, self.qwen, self.mini = (
            self._stack.enter_context(OpenAIServer(served)) for served in (LLAMA, QWEN, MINI)
        )
        self.written = [
            model("llama", self.llama.endpoint, served_name=LLAMA, api="OPENAI"),
            model("qwen", self.qwen.endpoint, served_name=QWEN, version=3, api="OPENAI"),
            model("mini", self.mini.endpoint, api="OPENAI"),
            experiment("chat", {"llama": 50, "qwen": 50}, default="llama", mirror={"name": "mini", "percent": 100}),
            experiment("mixed", {"mini": 50, "iris": 50}, default="mini"),
        ]
        self.write(*self.written)
        self.start("serve" if topology == "serve" else "up", *more)
        self.wait_state("chat")

    @cached_property
    def client(self) -> openai.OpenAI:
        made = openai.OpenAI(base_url=f"{self.extproc.inference_url}/v1", api_key="none", max_retries=0)
        return self._stack.enter_context(made)

    def post(self, body: bytes, path: str = CHAT, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"content-type": "application/json", **named}
        return fetch(self.extproc.inference_url + path, method="POST", body=body, headers=sent)

    def forget(self) -> None:
        for server in (self.llama, self.qwen, self.mini):
            server.forget()


def ask(chats: Chats, called: str = "llama", **more: Any) -> tuple[str, str]:
    """What a chat answers, and by which route."""
    answer = chats.client.chat.completions.with_raw_response.create(
        model=called, messages=[{"role": "user", "content": 'say "model"'}], **more
    )
    return answer.parse().choices[0].message.content or "", answer.headers["x-seldon-route"]


def counted(chats: Chats) -> tuple[int, int]:
    """How many chats have been counted, and how many of them extproc has decided by the weights."""
    candidates = chats.status("chat")["candidates"]
    weighted = [candidate["outcomes"]["byOutcome"].get("weighted", 0) for candidate in candidates]
    return sum(candidate["requests"] for candidate in candidates), sum(weighted)
