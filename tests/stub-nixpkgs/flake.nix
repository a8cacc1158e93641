{
  description = "A nixpkgs small enough for tests";
  outputs = { self }: (import ./flakes { stub = ./.; }).nixpkgs // { outPath = toString ./.; };
}
