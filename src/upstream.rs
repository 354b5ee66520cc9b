//! L4: requests out. Pure but for client, credential and oauth.
