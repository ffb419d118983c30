# SPDX-License-Identifier: Apache-2.0
# One interface target, pr_flags, carries how everything is compiled.
add_library(pr_flags INTERFACE)
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set_property(GLOBAL PROPERTY USE_FOLDERS ON)
if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# Asserts of our own (REQUIRE) stay in Release; nothing here depends on NDEBUG.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer")

target_compile_definitions(pr_flags INTERFACE _GNU_SOURCE)
target_compile_options(pr_flags INTERFACE
    -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wvla
    -Wformat=2 -Wpointer-arith -Wwrite-strings -Wundef -Wcast-align -Wimplicit-fallthrough
    -Wno-missing-field-initializers)
if(PR_WERROR)
    target_compile_options(pr_flags INTERFACE -Werror)
endif()
if(PR_SANITIZE)
    target_compile_options(pr_flags INTERFACE -fsanitize=${PR_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(pr_flags INTERFACE -fsanitize=${PR_SANITIZE})
    target_compile_definitions(pr_flags INTERFACE PR_SANITIZED=1)
else()
    target_compile_options(pr_flags INTERFACE -fstack-protector-strong -fno-plt)
    target_compile_options(pr_flags INTERFACE $<$<CONFIG:Release>:-U_FORTIFY_SOURCE>
                           $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
    target_link_options(pr_flags INTERFACE -Wl,-z,relro,-z,now -Wl,--as-needed)
    include(CheckPIESupported)
    check_pie_supported(LANGUAGES C)
endif()
if(PR_COVERAGE)
    target_compile_options(pr_flags INTERFACE --coverage)
    target_link_options(pr_flags INTERFACE --coverage)
endif()
if(PR_FUZZ)
    target_compile_options(pr_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
