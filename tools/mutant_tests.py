"""Which tests have to notice the mutants of which module.

A list is run once whole, then each mutant meets only those that call the function it is in, first
the quick ones that noticed others. So a list may be generous; it begins with what is quick.
"""

SECURITY, SERVICES = "bugtracker/security/", "bugtracker/services/"
LOGIN = ("handlers/test_auth_login.py", "handlers/test_auth_sessions.py")
FACTOR = ("handlers/test_two_factor_login.py", "handlers/test_two_factor.py")
KEYS = ("handlers/test_api_keys.py", "security/test_api_keys.py", "security/test_api_key_scopes.py")
TESTS: dict[str, tuple[str, ...]] = {
    f"{SECURITY}tokens.py": ("security/test_tokens.py",),
    f"{SECURITY}secrets.py": ("test_secrets.py", "security/test_passwords.py"),
    f"{SECURITY}passwords.py": (
        "security/test_passwords.py",
        "handlers/test_auth_login.py",
        "proofs/test_passwords.py",
    ),
    f"{SECURITY}common_passwords.py": (
        "security/test_common_passwords.py",
        "security/test_passwords.py",
    ),
    f"{SECURITY}keys.py": ("security/test_tokens.py", "cli/test_keys.py", "proofs/test_keys.py"),
    f"{SECURITY}authentication.py": (
        "handlers/test_auth_sessions.py",
        "security/test_tokens.py",
        "handlers/test_projects.py",
        "handlers/test_organisations.py",
        "handlers/test_auth_activity.py",
        "handlers/test_auth_registration.py",
        *KEYS,
    ),
    f"{SECURITY}permissions.py": (
        "handlers/test_archiving.py",
        "handlers/test_assigning.py",
        "handlers/test_comments.py",
        "handlers/test_actions.py",
        "handlers/test_invitations.py",
        "handlers/test_members.py",
        "security/test_api_key_scopes.py",
        "security/test_permission_matrix.py",
    ),
    f"{SECURITY}principal.py": (),
    f"{SECURITY}totp.py": ("security/test_totp.py", "handlers/test_two_factor_login.py"),
    f"{SECURITY}envelope.py": ("security/test_envelope.py", "test_secrets.py"),
    f"{SECURITY}one_time_tokens.py": (
        "handlers/test_magic_link.py",
        "handlers/test_two_factor_login.py",
        "handlers/test_passwords.py",
        "handlers/test_auth_registration.py",
        "handlers/test_auth_resend.py",
        "proofs/test_second_factor.py",
    ),
    f"{SECURITY}api_keys.py": (*KEYS, "edge/test_limits.py"),
    f"{SECURITY}partners.py": (
        "security/test_partner_signatures.py",
        "proofs/test_provisioning.py",
    ),
    f"{SECURITY}partner_signatures.py": ("security/test_partner_signatures.py",),
    f"{SECURITY}scoping.py": (
        "handlers/test_comments.py",
        "handlers/test_issues.py",
        "handlers/test_archiving.py",
        "handlers/test_organisations.py",
        "test_tenancy.py",
        "test_locking.py",
        "test_concurrency.py",
        "security/test_member_races.py",
        "security/test_permission_matrix.py",
    ),
    f"{SERVICES}attempts.py": (
        "security/test_lockout.py",
        "security/test_enumeration.py",
        "handlers/test_auth_activity.py",
        "handlers/test_two_factor_login.py",
        "proofs/test_lockout.py",
    ),
    f"{SERVICES}credentials.py": (
        *LOGIN,
        "handlers/test_passwords.py",
        "handlers/test_magic_link.py",
        *FACTOR,
        "proofs/test_passwords.py",
        "proofs/test_sessions.py",
    ),
    f"{SERVICES}logins.py": (
        *LOGIN,
        "handlers/test_magic_link.py",
        "handlers/test_two_factor_login.py",
        "security/test_lockout.py",
        "proofs/test_second_factor.py",
        "proofs/test_passwords.py",
        "proofs/test_magic_links.py",
    ),
    f"{SERVICES}second_factor.py": (*FACTOR, "proofs/test_second_factor.py"),
    f"{SERVICES}two_factor.py": (*FACTOR, "proofs/test_second_factor.py"),
    f"{SERVICES}reauthentication.py": (
        "handlers/test_passwords.py",
        *FACTOR,
        "handlers/test_organisations.py",
        "security/test_lockout.py",
        "proofs/test_second_factor.py",
        "proofs/test_passwords.py",
        "proofs/test_sessions.py",
    ),
    f"{SERVICES}members.py": (
        "handlers/test_members.py",
        "handlers/test_users.py",
        "handlers/test_change_user.py",
        "handlers/test_auth_login.py",
        "handlers/test_accept_invitation.py",
        "handlers/test_organisations.py",
        "security/test_member_races.py",
        "security/test_user_races.py",
        "security/test_api_key_races.py",
        "erasure/test_erasing.py",
    ),
    f"{SERVICES}sessions.py": (
        *LOGIN,
        "login_analytics/test_recording.py",
        "handlers/test_sessions.py",
        "handlers/test_new_sign_in.py",
        "handlers/test_organisations.py",
        "proofs/test_sessions.py",
    ),
    f"{SERVICES}revocation.py": (
        "handlers/test_sessions.py",
        "handlers/test_auth_sessions.py",
        "handlers/test_passwords.py",
        "handlers/test_two_factor.py",
        "proofs/test_sessions.py",
    ),
    f"{SERVICES}invitations.py": (
        "handlers/test_invitations.py",
        "handlers/test_accept_invitation.py",
        "security/test_member_races.py",
        "proofs/test_invitations.py",
    ),
    f"{SERVICES}joining.py": (
        "handlers/test_accept_invitation.py",
        "handlers/test_invitations.py",
        "proofs/test_invitations.py",
        "security/test_member_races.py",
    ),
    f"{SERVICES}leaving.py": (
        "handlers/test_members.py",
        "handlers/test_users.py",
        "security/test_api_keys.py",
        "security/test_api_key_races.py",
        "handlers/test_accept_invitation.py",
    ),
    f"{SERVICES}rotation.py": ("security/test_rotation.py", "cli/test_keys.py"),
}
"""A module of bugtracker/security without a row stops the run."""
