"""Who the caller is: the account, the token, the second factor, the sign-up."""
