"""A project whose algorithm uses the platform: it calls others, keeps files, and reports insights."""

import os

import Algorithmia


def apply(asked):
    client = Algorithmia.client()
    if isinstance(asked, int):
        return client.algo("local/plain").pipe(asked).result + 1
    for uri, content in asked.get("put", {}).items():
        client.file(uri).put(content)
    told = {uri: client.file(uri).getString() for uri in asked.get("get", [])}
    for metrics in asked.get("report", []):
        client.report_insights(metrics)
    if "call" in asked:
        told["called"] = client.algo("local/plain").pipe(asked["call"]).result
    if "trace" in asked:
        told["traced"] = client.algo("demo/Traced").pipe(asked["trace"]).result
    return told | {"key": os.environ["ALGORITHMIA_API_KEY"]}
