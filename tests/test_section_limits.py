"""What a section keeps, and how much at the most: attributes, names, nodes, and nothing while disabled."""

from algoprof import profile, section


class TestAttributes:
    def test_they_are_kept_with_the_sample(self):
        with profile("job") as run, section("infer", model="v3") as s:
            s.set(labels=12, ok=True, share=0.5)
        (span,) = run.snapshot().node("job", "infer").spans
        assert span.attributes == {"model": "v3", "labels": 12, "ok": True, "share": 0.5}

    def test_set_reaches_the_innermost_open_occurrence_of_that_section(self):
        outer = section("outer", a=1)
        with profile("job") as run, outer, section("inner", b=1):
            outer.set(c=3)
        snapshot = run.snapshot()
        assert snapshot.node("job", "outer").spans[0].attributes == {"a": 1, "c": 3}
        assert snapshot.node("job", "outer", "inner").spans[0].attributes == {"b": 1}

    def test_set_outside_does_nothing(self):
        section("nowhere").set(a=1)

    def test_too_much_is_cut_and_counted(self):
        with profile("job") as run, section("infer", text="x" * 10_000, **{f"k{i}": i for i in range(100)}):
            pass
        snapshot = run.snapshot()
        assert snapshot.dropped > 0
        assert len(snapshot.node("job", "infer").spans[0].attributes["text"]) < 200

    def test_a_value_whose_text_fails_does_not_break_the_program(self, run_python):
        done = run_python("""
            from algoprof import section
            class Bad:
                def __str__(self): raise RuntimeError("no text")
            with section("x", value=Bad()):
                print("inside")
            """)
        assert (done.stdout, done.stderr) == ("inside\n", "")


class TestLimits:
    def test_a_million_occurrences_take_no_more_memory_than_a_few(self, scaled):
        with profile("job") as run:
            for _ in range(scaled(1_000_000)):
                with section("tight"):
                    pass
        node = run.snapshot().node("job", "tight")
        assert node.count == scaled(1_000_000)
        assert len(node.spans) <= 3

    def test_too_many_names_fold_and_are_counted(self):
        with profile("job") as run:
            for i in range(2_000):
                with section(f"name {i}"):
                    pass
        snapshot = run.snapshot()
        nodes = list(snapshot.node("job").walk())
        assert len(nodes) <= 512
        assert snapshot.folded > 0
        assert sum(node.count for node in nodes) == 2_001, "folded occurrences are counted, under another name"

    def test_too_deep_folds_and_is_counted(self):
        def descend(depth):
            with section(f"level {depth}"):
                if depth:
                    descend(depth - 1)

        with profile("job") as run:
            descend(300)
        snapshot = run.snapshot()
        assert snapshot.folded > 0
        assert sum(node.count for _, node in snapshot.paths()) == 302

    def test_a_long_and_hostile_name_is_cut_not_lost(self):
        names = ["x" * 100_000 + end for end in "ab"] + ["new\nline\0and \ud800 surrogate"]
        with profile("job") as run:
            for name in names:
                with section(name):
                    pass
        assert len(run.snapshot().node("job").children) == 3


class TestDisabled:
    def test_nothing_is_recorded_and_nothing_changes(self, run_python, tmp_path):
        done = run_python(
            """
            import asyncio
            from algoprof import budget, profile, section
            def f(): return 1
            assert section(f) is f
            assert section("x") is section("y", a=1)
            @profile(timeout=60)
            def apply(x):
                with section("x") as s:
                    s.set(a=1)
                    return budget().remaining <= 60 and budget().remaining
            async def main():
                async with section("x"):
                    pass
            asyncio.run(main())
            print(0 < apply(1) <= 60)
            """,
            env={"ALGOPROF_DISABLED": "1"},
        )
        assert (done.stdout, done.stderr) == ("True\n", "")
        assert not list((tmp_path / "flight").glob("*"))
