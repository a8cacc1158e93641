#!/usr/bin/env bash
# Checks, or updates and pushes. Everything comes through the environment; see action.yml. Exit code: that of
# npm-nixhash; 2 also where a commit cannot be made or pushed, or no pull request opened.
#
# The token is given to `git push` and to api.mjs alone, in their environment: never to npm-nixhash, on no command line, in
# no file.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
token=${TOKEN:-}
unset TOKEN
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What is looked at, and what counts as a failure: words of the inputs.
read -ra names <<<"${NAMES:-}"
read -ra exclude <<<"${EXCLUDE:-}"
read -ra deny <<<"${DENY:-}"
read -ra scope <<<"${ARGS:-}"
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
check() {
  local code=0
  "$PROGRAM" check --output markdown="$work/report.md" --output patch="$work/patch" "${scope[@]}" || code=$?
  comment "$code"
  return "$code"
}

# api TASK NAME=VALUE...: asks the forge; see api.mjs. Older versions of node know no proxy.
api() {
  (
    export TOKEN=$token NODE_USE_ENV_PROXY=1 "${@:2}"
    exec node "$here/api.mjs" "$1"
  )
}

# comment CODE: the report as a comment on the pull request, if that was asked for; never a reason to fail.
comment() {
  case ${COMMENT:-false} in false) return ;; true | suggestions) ;; *) refuse "comment is true, suggestions or false" ;; esac
  # A usage error has no report.
  [ -s "$work/report.md" ] || return 0
  if [ -z "${PULL_NUMBER:-}" ] || [ -z "$token" ] || ! command -v node >/dev/null; then
    echo "::notice::no comment: it needs a pull request, the input token, and node 18 or later on the runner's PATH"
    return
  fi
  api comment SEVERITY=warning FINE="$([ "$1" != 0 ] || echo true)" SUGGEST="$(suggests)" ABOUT="${SCOPE:-.} ${NAMES:-}" \
    REPORT="$work/report.md" PATCH="$work/patch" ||
    echo "::warning::no comment could be made: the token needs pull-requests: write, which workflows of forks do not get"
}

# Suggestions lie on lines of the pull request's own commit, and Forgejo and Gitea know none.
suggests() {
  [ "${COMMENT:-}" = suggestions ] || return 0
  if [ "${FORGEJO_ACTIONS:-}${GITEA_ACTIONS:-}" != "" ]; then
    echo "::notice::this forge knows no suggestions" >&2
  elif [ "$(git rev-parse HEAD)" != "${PULL_HEAD:-}" ]; then
    echo "::notice::no suggestions: give actions/checkout the input ref: \${{ github.event.pull_request.head.sha }}" >&2
  else
    echo true
  fi
}

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

# push REFSPEC [OPTION...]
push() {
  local refspec=$1 credentials
  shift
  credentials=$(printf 'x-access-token:%s' "$token" | base64 | tr -d '\n')
  echo "::add-mask::$credentials"
  GIT_TERMINAL_PROMPT=0 GIT_CONFIG_COUNT=2 \
    GIT_CONFIG_KEY_0="http.$GITHUB_SERVER_URL/.extraheader" GIT_CONFIG_VALUE_0="AUTHORIZATION: basic $credentials" \
    GIT_CONFIG_KEY_1=core.hooksPath GIT_CONFIG_VALUE_1=/dev/null \
    git push --quiet "$@" "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY.git" "$refspec" ||
    refuse "cannot push to ${refspec#*:refs/heads/}: it moved meanwhile (then the run for its new state does the work), it is protected (mode: pull-request opens a pull request instead), or the token may not write"
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
    push "HEAD:refs/heads/$BRANCH"
    echo "pushed $(git rev-parse --short HEAD) to $BRANCH"
  fi
  return "$code"
}

# Asks about the branch of our pull request; sets `tip`, and `same` if nothing is to be pushed.
look_at_branch() {
  local found
  found=$(api branch TREE="$(git rev-parse 'HEAD^{tree}')" PARENT="${1:-}") || exit 2
  read -r tip same <<<"$found" || true
}

pull_request() {
  local code=0 base tip='' same=''
  PR_BRANCH=${PR_BRANCH:-npm-nixhash/$BRANCH}
  require_branch
  if [ "$PR_BRANCH" = "$BRANCH" ] || ! git check-ref-format --branch "$PR_BRANCH" >/dev/null 2>&1; then
    refuse "the input branch is not the name of another branch"
  fi
  command -v node >/dev/null || refuse "pull-request needs node, 18 or later, on the runner's PATH"
  export PR_BRANCH
  base=$(git rev-parse HEAD)
  "$PROGRAM" update --output markdown="$work/report.md" "${scope[@]}" || code=$?
  if ! git diff --quiet HEAD; then
    git diff HEAD
    commit
    look_at_branch "$base"
    [ -n "$same" ] || push "HEAD:refs/heads/$PR_BRANCH" --force-with-lease="refs/heads/$PR_BRANCH:$tip"
    api open REPORT="$work/report.md" TITLE="${COMMIT_MESSAGE:-Update npmDepsHash}" ||
      refuse "$PR_BRANCH is pushed, but its pull request is not open: the token needs pull-requests: write, the job's own one also the repository's setting that Actions may create pull requests"
  elif [ "$code" = 0 ]; then
    echo "nothing to commit"
    look_at_branch
    [ -z "$tip" ] || { api close && push ":refs/heads/$PR_BRANCH" --force-with-lease="refs/heads/$PR_BRANCH:$tip"; }
  fi
  return "$code"
}

case ${MODE:-check} in
check) check ;;
update | pull-request)
  reason=$(obstacle)
  if [ -n "$reason" ]; then
    echo "::notice::$reason"
    check
  elif [ "$MODE" = update ]; then
    update
  else
    pull_request
  fi
  ;;
*) refuse "mode is check, update or pull-request" ;;
esac
