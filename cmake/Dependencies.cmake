# SPDX-License-Identifier: Apache-2.0
# Every library comes from the distribution. Each is one interface target, pr_dep_NAME.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(pr_dependency name module)
    pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${module})
    add_library(pr_dep_${name} INTERFACE)
    target_link_libraries(pr_dep_${name} INTERFACE PkgConfig::${name})
endfunction()

pr_dependency(pcap libpcap)
pr_dependency(sodium libsodium)
pr_dependency(zstd libzstd)
pr_dependency(xxhash libxxhash)
pr_dependency(jansson jansson)

# SQLCipher and sqlite3 export the same symbols: link one, never both. SQLCipher before 4.6 is too old for our files.
if(PR_SQLCIPHER)
    pr_dependency(sqlite "sqlcipher>=3.45")
    target_compile_definitions(pr_flags INTERFACE PR_SQLCIPHER=1)
    target_compile_definitions(pr_dep_sqlite INTERFACE SQLITE_HAS_CODEC=1)
else()
    pr_dependency(sqlite "sqlite3>=3.40")
    target_compile_definitions(pr_flags INTERFACE PR_SQLCIPHER=0)
endif()
