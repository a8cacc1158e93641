# For nixpkgs: pkgs/by-name/np/npm-nixhash/package.nix. packaging/finish.sh fills in owner and version; the two hashes are
# what Nix says they should be.
{
  lib,
  stdenv,
  fetchFromGitHub,
  rustPlatform,
  gitMinimal,
  installShellFiles,
  nix-update-script,
  versionCheckHook,
}:

rustPlatform.buildRustPackage (finalAttrs: {
  pname = "npm-nixhash";
  version = "VERSION";

  src = fetchFromGitHub {
    owner = "OWNER";
    repo = "npm-nixhash";
    tag = "v${finalAttrs.version}";
    hash = lib.fakeHash;
  };

  cargoHash = lib.fakeHash;

  nativeBuildInputs = [ installShellFiles ];

  # Patches are tried with git, which also makes the repositories of some tests.
  nativeCheckInputs = [ gitMinimal ];

  postInstall = lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    installShellCompletion --cmd npm-nixhash \
      --bash <($out/bin/npm-nixhash completions bash) \
      --fish <($out/bin/npm-nixhash completions fish) \
      --zsh <($out/bin/npm-nixhash completions zsh)
    $out/bin/npm-nixhash man man
    installManPage man/*.1
  '';

  doInstallCheck = true;
  nativeInstallCheckInputs = [ versionCheckHook ];

  passthru.updateScript = nix-update-script { };

  meta = {
    description = "Compute npmDepsHash for every npm service of a Nix flake, without Nix, and rewrite it in place";
    homepage = "https://github.com/OWNER/npm-nixhash";
    changelog = "https://github.com/OWNER/npm-nixhash/blob/v${finalAttrs.version}/CHANGELOG.md";
    license = lib.licenses.mit;
    maintainers = [ ];
    mainProgram = "npm-nixhash";
  };
})
