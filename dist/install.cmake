# SPDX-License-Identifier: Apache-2.0
# Run by cmake --install: the unit with the paths of this installation, and the configuration.
set(PR_BIN ${CMAKE_INSTALL_PREFIX}/${PR_BINDIR})
if(IS_ABSOLUTE "${PR_BINDIR}")
    set(PR_BIN ${PR_BINDIR})
endif()
if(CMAKE_INSTALL_PREFIX MATCHES "^/usr(/local)?/?$")
    set(PR_CONFIG /etc/packetrecorder)
else()
    set(PR_CONFIG ${CMAKE_INSTALL_PREFIX}/etc/packetrecorder)
endif()
configure_file(${PR_DIST}/packetrecorderd.service.in ${PR_MADE}/packetrecorderd.service @ONLY)
file(INSTALL ${PR_MADE}/packetrecorderd.service
     DESTINATION ${CMAKE_INSTALL_PREFIX}/${PR_UNIT_DIR})
if(EXISTS "$ENV{DESTDIR}${PR_CONFIG}/packetrecorder.conf")
    message(STATUS "Keeping: $ENV{DESTDIR}${PR_CONFIG}/packetrecorder.conf")
else()
    file(INSTALL ${PR_DIST}/packetrecorder.conf DESTINATION ${PR_CONFIG})
endif()
