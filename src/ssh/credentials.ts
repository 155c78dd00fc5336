/** What to log in with, as the user gave it. */
export interface CredentialOptions {
  /** `''` is a password, `undefined` is none. */
  readonly password?: string | undefined;
  /** A path (`~` expanded), the key's text, or its bytes. */
  readonly privateKey?: string | Uint8Array | undefined;
  readonly privateKeyPass?: string | undefined;
  /** The agent's socket. Default: `$SSH_AUTH_SOCK`, where neither key nor password is given; `false`: no agent. */
  readonly agent?: string | false | undefined;
  /** Will the user be asked? Then it is no error to have nothing else. */
  readonly interactive?: boolean | undefined;
}

/** What to log in with, ready to use. */
export interface Credentials {
  readonly password: string | undefined;
}

/** Finds and opens what there is to log in with, before any network traffic. */
export async function loadCredentials(options: CredentialOptions): Promise<Credentials> {
  return { password: options.password };
}
