#!/bin/sh
# uv of the machine, else the one that `make setup` brought: a git hook finds either.
exec "$(command -v uv || echo .uv/bin/uv)" "$@"
