#!/usr/bin/env bash
# make-services.sh DIR [--binaries]: writes a repository of ten npm services with real lockfiles (about 1,600 entries,
# 830 distinct tarballs, 150 MB) and a flake that packages them through a wrapper in another file. Three of them also
# depend on packages with a binary for each platform if --binaries is given (350 MB). Needs npm and its registry.
set -euo pipefail
dir=$1
services=(
  "api express@4.21.2 zod@3.24.1 pg@8.13.1 pino@9.6.0 undici@7.2.3 jest@29.7.0"
  "web react@18.3.1 react-dom@18.3.1 vite@5.4.11 typescript@5.7.3 @vitejs/plugin-react@4.3.4"
  "worker bullmq@5.34.8 ioredis@5.4.2 typescript@5.7.3 eslint@9.18.0"
  "docs @11ty/eleventy@3.0.0 prismjs@1.29.0 markdown-it@14.1.0"
  "lint eslint@9.18.0 prettier@3.4.2 typescript@5.7.3 typescript-eslint@8.20.0"
  "test jest@29.7.0 ts-jest@29.2.5 typescript@5.7.3 supertest@7.0.0"
  "bundle webpack@5.97.1 webpack-cli@6.0.1 babel-loader@9.2.1 @babel/core@7.26.0"
  "mcp @modelcontextprotocol/sdk@1.1.1 zod@3.24.1 express@4.21.2 typescript@5.7.3"
  "edge fastify@5.2.1 @fastify/cors@10.0.2 date-fns@4.1.0 typescript@5.7.3"
  "cli commander@13.0.0 chalk@5.4.1 inquirer@12.3.2 ts-node@10.9.2 typescript@5.7.3"
)
if [[ ${2-} == --binaries ]]; then
  services[2]+=" tsx@4.19.2" services[8]+=" esbuild@0.24.2" services[9]+=" rollup@4.30.1"
fi
mkdir -p "$dir/lib"
for service in "${services[@]}"; do
  read -r name packages <<<"$service"
  mkdir -p "$dir/services/$name"
  (
    cd "$dir/services/$name"
    printf '{ "name": "%s", "version": "0.1.0", "private": true }\n' "$name" >package.json
    # shellcheck disable=SC2086 # a list of packages
    npm install --package-lock-only --ignore-scripts --no-audit --no-fund --loglevel=error \
      --omit-lockfile-registry-resolved=false $packages >/dev/null
  )
done
cat >"$dir/lib/default.nix" <<'N'
{ pkgs }:
{
  makeNpmService = { name, src, npmDepsHash, version ? "0.1.0" }:
    pkgs.buildNpmPackage {
      pname = name;
      inherit version src npmDepsHash;
      dontNpmBuild = true;
    };
}
N
{
  cat <<'N'
{
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      pkgs = nixpkgs.legacyPackages.x86_64-linux;
      lib = import ./lib { inherit pkgs; };
    in
    {
      packages.x86_64-linux = {
N
  for service in "${services[@]}"; do
    name=${service%% *}
    cat <<N
        $name = lib.makeNpmService {
          name = "$name";
          src = ./services/$name;
          npmDepsHash = "";
        };
N
  done
  printf '      };\n    };\n}\n'
} >"$dir/flake.nix"
