# shellcheck shell=bash disable=SC2034,SC2154,SC2317,SC2329 # sourced by run.sh
# All updates of the services in one branch, together with something that is not npm's.
