"""Builds, versions and errors through `AsyncClient`, against the real server."""

import pytest

import algoprof
from algoprof.errors import BuildTimeout, ManagementError

PLAIN = "def apply(input):\n    return 1 // input\n"


async def test_builds_and_versions_are_listed_and_read(server):
    async with algoprof.AsyncClient(server.key, server.address) as client:
        adk = client.algo("demo/Adk")
        (build,) = [one async for one in adk.builds(limit=1)]
        assert (build.algorithm, build.status, build.semantic_version) == ("demo/Adk", "succeeded", "1.0.0")
        assert await adk.build(build.id) == await adk.newest_build(build.commit[:7]) == build
        assert await adk.get_build(build.id) == (await adk.get_builds())["results"][0] == build.resource
        assert await adk.newest_build("no such commit") is None
        assert "Successfully installed" in await adk.build_logs(build.id)
        (version,) = [one async for one in adk.versions(published=True, callable=True)]
        assert [one async for one in adk.versions(published=False)] == []
        for selector in ("1.0.0", version.git_hash, version.git_hash[:8]):
            assert "Successfully installed" in await adk.version_logs(selector)
        assert (await adk.info())["results"][0] == version.resource
        with pytest.raises(ManagementError, match=r"has no version 9\.9\.9"):
            await adk.version("9.9.9")
        with pytest.raises(BuildTimeout, match="no build of commit abc is listed after 0 s"):
            await adk.wait(commit="abc", timeout=0)
        found = await client.algo("demo/Broken").diagnose()
        assert (found.outcome, found.reason) == ("failed", "file_missing")
        nothing = client.algo("demo/Nothing")
        assert [await one.exists() for one in (adk, nothing)] == [True, False]
        with pytest.raises(ManagementError, match="404"):
            await nothing.wait()


async def test_what_is_compiled_is_waited_for_and_published(serve, project):
    directory = project("growing", {"main.py": PLAIN})
    serving = serve(directory)
    async with algoprof.AsyncClient(serving.key, serving.address) as client:
        growing = client.algo("local/growing")
        with pytest.raises(ManagementError, match=r"published already, as version 1\.0\.0"):
            await growing.publish()
        (directory / "main.py").write_text(PLAIN.replace("1 //", "2 //"))
        compiled = await growing.compile()
        assert (compiled.successful, compiled.semantic_version) == (True, "")
        assert await growing.wait(compiled.build.id) == await growing.wait() == await growing.build(compiled.build.id)
        assert [one.semantic_version async for one in growing.versions()] == ["", "1.0.0"]
        published = await growing.publish(version_type="minor", release_notes="more")
        assert (published.semantic_version, (await growing.pipe(1)).result) == ("1.1.0", 2)
        with pytest.raises(algoprof.errors.CallError, match="by zero"):
            await growing.pipe(0)
        (record,) = await growing.errors()
        assert "by zero" in record.message
