"""The parser of oneDNN's log: against a log of a real run, and against the forms of other versions and CPUs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenet.analysis.onednn import Execution, Library, kernels, parse
from lenet.store.events import STEPS_BEGIN, STEPS_END
from lenet.workload.layers import training_flops

LOGS = Path(__file__).parent / "logs"

REAL = (LOGS / "onednn-3.10.1-avx2.log").read_text(encoding="ascii").splitlines()
AVX512 = (LOGS / "onednn-3.10.1-avx512.log").read_text(encoding="ascii").splitlines()
"""Two steps of batch 32 in Graph mode, MindSpore 2.10.0, as a machine with AVX2 and one with AVX-512 wrote them."""

ISA_AVX512 = (
    "Intel AVX-512 with float16, Intel DL Boost and bfloat16 support "
    "and Intel AMX with bfloat16 and 8-bit integer support"
)

V2 = """dnnl_verbose,info,oneDNN v2.2.0 (commit N/A)
dnnl_verbose,info,cpu,runtime:threadpool
dnnl_verbose,info,cpu,isa:Intel AVX-512 with Intel DL Boost
dnnl_verbose,info,prim_template:operation,engine,primitive,implementation,prop_kind,memory_descriptors,attributes,\
auxiliary,problem_desc,exec_time
dnnl_verbose,create:cache_miss,cpu,matmul,gemm:jit,undef,src_f32::blocked:ab:f0,,,32x400:400x120:32x120,0.12
dnnl_verbose,exec,cpu,convolution,gemm:jit,forward_training,src_f32::blocked:abcd:f0 wei_f32::blocked:abcd:f0 \
bia_undef::undef::f0 dst_f32::blocked:abcd:f0,,alg:convolution_direct,\
mb32_ic6oc16_ih14oh10kh5sh1dh0ph0_iw14ow10kw5sw1dw0pw0,0.25"""
"""Constructed in the form of oneDNN 2.2.0 (MindSpore 2.7 and 2.8)."""


@pytest.mark.parametrize(("lines", "isa"), [(REAL, "Intel AVX2"), (AVX512, ISA_AVX512)], ids=["avx2", "avx512"])
class TestRealLog:
    def test_the_library(self, lines, isa):
        assert parse(lines).library == Library("3.10.1", isa, 2)

    def test_its_arithmetic_is_the_workloads(self, lines, isa):
        """The FLOPs of the shapes that ran, beside those of the layers."""
        counted = [each.flops for each in parse(lines).executions if each.flops is not None]
        assert sum(counted) == 2 * 32 * training_flops()

    def test_a_step_has_five_convolutions_and_nine_matrix_products(self, lines, isa):
        found = kernels(parse(lines), 2)
        calls = {}
        for each in found:
            calls[each.operator] = calls.get(each.operator, 0) + each.calls
        assert calls["convolution"] == 5
        assert calls["matmul"] == 9

    def test_kernels_add_up_to_the_log_and_the_slowest_is_first(self, lines, isa):
        log = parse(lines)
        found = kernels(log, 2)
        total = sum(each.milliseconds for each in log.executions)
        assert 2 * sum(each.milliseconds for each in found) == pytest.approx(total)
        times = [each.milliseconds for each in found]
        assert times == sorted(times, reverse=True)

    def test_only_avx512_has_reference_implementations(self, lines, isa):
        reference = {each.implementation for each in kernels(parse(lines), 2) if each.is_reference}
        assert reference == ({"jit_uni_ncsp:conv+ref:any"} if isa == ISA_AVX512 else set())

    def test_only_what_stands_between_the_marks_counts(self, lines, isa):
        inside = lines[lines.index(STEPS_BEGIN) + 1 : lines.index(STEPS_END)]
        warm = [*inside, *inside, STEPS_BEGIN, *inside[:4], STEPS_END, *inside]
        assert len(parse(warm).executions) == 4
        assert len(parse(inside).executions) == len(inside), "a log without marks counts whole"


def test_version_2():
    log = parse(V2.splitlines())
    assert log.library == Library("2.2.0", "Intel AVX-512 with Intel DL Boost", None)
    (one,) = log.executions
    assert (one.operator, one.direction, one.implementation) == ("convolution", "forward_training", "gemm:jit")
    assert one.milliseconds == 0.25
    assert one.flops == 2 * 32 * 16 * 6 * 25 * 100


@pytest.mark.parametrize(
    ("implementation", "is_reference"),
    [
        ("jit_uni_ncsp:conv+ref:any", True),
        ("ref:any", True),
        ("gemm:ref", True),
        ("x64:gemm:jit", False),
        ("simple_nchw:any", False),
        ("brgconv:avx512_core", False),
        ("prefer:any", False),
    ],
)
def test_a_reference_implementation_is_known_by_its_name(implementation, is_reference):
    assert Execution("convolution", "forward_training", implementation, "", 1.0).is_reference is is_reference


@pytest.mark.parametrize(
    ("operator", "problem", "expected"),
    [
        ("matmul", "32x400:400x120", 2 * 32 * 400 * 120),
        ("matmul", "32x400:400x120:32x120", 2 * 32 * 400 * 120),
        ("matmul", "32x400:401x120", None),
        ("matmul", "8x32x400:8x400x120", None),
        ("inner_product", "mb32ic400oc120", 2 * 32 * 400 * 120),
        ("inner_product", "mb32ic16ih5iw5oc120", 2 * 32 * 400 * 120),
        ("convolution", "mb2_g2ic4oc6_ih5oh3kh3sh1dh0ph0_iw5ow3kw3sw1dw0pw0", 2 * 2 * 4 * 6 * 9 * 9 // 2),
        ("pooling", "mb32ic6_ih28oh14kh2sh2dh0ph0_iw28ow14kw2sw2dw0pw0", None),
        ("convolution", "", None),
    ],
)
def test_flops_of_a_shape(operator, problem, expected):
    assert Execution(operator, "", "", problem, 0.0).flops == expected


FIELDS = st.lists(st.sampled_from(["exec", "v1", "primitive", "info", "cpu", "convolution", "0.1", ""]), max_size=14)


@given(st.lists(st.text(max_size=200) | FIELDS.map(lambda fields: ",".join(["onednn_verbose", *fields]))))
def test_no_line_breaks_it(lines):
    parse(lines)


@pytest.mark.parametrize("time", ["nan", "inf", "-1", "", "1e999", "x"])
def test_a_time_that_is_none_is_passed_over(time):
    line = next(line for line in REAL if ",exec," in line)
    assert parse([line]).executions
    assert not parse([line.rpartition(",")[0] + "," + time]).executions
