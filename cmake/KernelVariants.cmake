# add_kernel_variants(TARGET source...): compiles each source once per instruction set into the object library
# TARGET_<isa>, with RBEE_ISA=<isa> naming the namespace of that build. The sources may include <cstdint>,
# <cstddef>, intrinsics and headers of kernels/ only: an inline function shared with other code could be linked
# from the object built for the wrong instruction set.
set(RBEE_ISA_FLAGS_base "")
set(RBEE_ISA_FLAGS_avx2 -mavx2 -mfma -mf16c -mbmi -mbmi2 -mpopcnt)
set(RBEE_ISA_FLAGS_avx512 -mavx2 -mfma -mf16c -mbmi -mbmi2 -mpopcnt
  -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mavx512bf16 -mprefer-vector-width=512)

function(add_kernel_variants target)
  foreach(isa base avx2 avx512)
    add_library(${target}_${isa} OBJECT ${ARGN})
    target_link_libraries(${target}_${isa} PRIVATE rbee_options)
    target_compile_definitions(${target}_${isa} PRIVATE RBEE_ISA=${isa} RBEE_ISA_${isa}=1)
    target_compile_options(${target}_${isa} PRIVATE ${RBEE_ISA_FLAGS_${isa}} -fno-exceptions -fno-rtti)
  endforeach()
endfunction()
