# Sourced by jobs of .gitlab/ci: how the job becomes AWS_ROLE_ARN and, as profile `record`, AWS_PROMOTE_ROLE_ARN.
# Writes AWS's configuration file outside of the working tree; there is no key in it, and the token ends with the job.
# shellcheck shell=sh

case "${AWS_ROLE_ARN:-}" in
  arn:*) ;;
  *)
    echo "error: AWS_ROLE_ARN is not set for job $CI_JOB_NAME: write the CI/CD variables of docs/delivery.md with tools/gitlab_setup.py" >&2
    exit 1
    ;;
esac

aws_folder=$(mktemp -d)
(umask 077 && printf '%s' "${AWS_ID_TOKEN:-}" >"$aws_folder/token")

aws_profile() { # heading, role
  printf '[%s]\nrole_arn = %s\n' "$1" "$2"
  printf 'role_session_name = gl-%s-%s-%s\n' "$CI_PROJECT_ID" "$CI_PIPELINE_ID" "$CI_JOB_ID"
  if [ "${AWS_AUTH:-oidc}" = runner_role ]; then
    printf 'credential_source = %s\n' "$AWS_CREDENTIAL_SOURCE"
  else
    printf 'web_identity_token_file = %s\n' "$aws_folder/token"
  fi
}

{
  aws_profile default "$AWS_ROLE_ARN"
  if [ -n "${AWS_PROMOTE_ROLE_ARN:-}" ]; then aws_profile "profile record" "$AWS_PROMOTE_ROLE_ARN"; fi
} >"$aws_folder/config"

export AWS_CONFIG_FILE="$aws_folder/config"
unset AWS_ROLE_ARN AWS_ID_TOKEN # the file says it all
