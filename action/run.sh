#!/usr/bin/env bash
# Checks, or updates and pushes. Everything comes through the environment; see action.yml. Exit code: that of
# npm-nixhash; 2 also where a commit cannot be made or pushed.
#
# The token is given to `git push` alone, in its environment: never to npm-nixhash, on no command line, in no file.
set -euo pipefail
token=${TOKEN:-}
unset TOKEN

# What is looked at, and what counts as a failure: words of the inputs.
read -ra names <<<"${NAMES:-}"
read -ra exclude <<<"${EXCLUDE:-}"
read -ra deny <<<"${DENY:-}"
scope=()
for word in "${exclude[@]}"; do scope+=(--exclude "$word"); done
for word in "${deny[@]}"; do scope+=(--deny "$word"); done
if [ "${#names[@]}" -gt 0 ]; then
  scope+=(-C "${SCOPE:-.}" -- "${names[@]}")
else
  scope+=(-- "${SCOPE:-.}")
fi

refuse() {
  echo "::error::$1"
  exit 2
}

# In GitHub Actions the program annotates and writes the job summary, patch included, by itself.
check() { "$PROGRAM" check "${scope[@]}"; }

# Why nothing can be pushed, if so.
obstacle() {
  if [ "${HEAD_REPOSITORY:-}" != "${GITHUB_REPOSITORY:-}" ]; then
    echo "the branch belongs to a fork, to which nothing can be pushed; the job summary has the patch"
  elif [ -z "$token" ]; then
    echo "there is no token to push with (workflows of forks get none, and Dependabot's only Dependabot secrets); the job summary has the patch"
  fi
}

# The branch has to be checked out: a pull_request workflow gets a merge commit, on which nothing can be built.
require_branch() {
  local branch
  [ -n "${BRANCH:-}" ] || refuse "update needs a branch"
  git check-ref-format --branch "$BRANCH" >/dev/null 2>&1 || refuse "the branch has no usable name"
  branch=$(git symbolic-ref --quiet --short HEAD) || branch=
  [ "$branch" = "$BRANCH" ] ||
    refuse "update needs the branch itself: give actions/checkout the input ref: \${{ github.head_ref || github.ref_name }}"
  [ -z "$(git status --porcelain --untracked-files=no)" ] || refuse "there are changes in the checkout that are not committed"
}

commit() {
  git -c core.hooksPath=/dev/null -c user.name='npm-nixhash' -c user.email='npm-nixhash@users.noreply.github.com' \
    commit --quiet --all --message "${COMMIT_MESSAGE:-Update npmDepsHash}"
}

push() {
  local credentials
  credentials=$(printf 'x-access-token:%s' "$token" | base64 | tr -d '\n')
  echo "::add-mask::$credentials"
  GIT_TERMINAL_PROMPT=0 GIT_CONFIG_COUNT=2 \
    GIT_CONFIG_KEY_0="http.$GITHUB_SERVER_URL/.extraheader" GIT_CONFIG_VALUE_0="AUTHORIZATION: basic $credentials" \
    GIT_CONFIG_KEY_1=core.hooksPath GIT_CONFIG_VALUE_1=/dev/null \
    git push --quiet "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY.git" "HEAD:refs/heads/$BRANCH" ||
    refuse "cannot push to $BRANCH: it moved meanwhile (then the run for its new state does the work), it is protected, or the token may not write"
}

update() {
  local code=0
  require_branch
  "$PROGRAM" update "${scope[@]}" || code=$?
  # What is proven is pushed, whatever else failed.
  if git diff --quiet HEAD; then
    echo "nothing to commit"
  else
    git diff HEAD
    commit
    push
    echo "pushed $(git rev-parse --short HEAD) to $BRANCH"
  fi
  return "$code"
}

case ${MODE:-check} in
check) check ;;
update)
  reason=$(obstacle)
  if [ -n "$reason" ]; then
    echo "::notice::$reason"
    check
  else
    update
  fi
  ;;
*) refuse "mode is check or update" ;;
esac
