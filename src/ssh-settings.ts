/** What the program's options and the user's ssh configuration together say about one host; the options win. */
import type { CnOpts } from './cnopts.js';
import { type HostKeysError, SshError } from './errors.js';
import { type AlgorithmOptions, DEFAULT_OFFER, LEGACY_MINIMUM_RSA_BITS } from './ssh/algorithms.js';
import type { CredentialOptions } from './ssh/credentials.js';
import { type HostKeyRules, MINIMUM_RSA_BITS } from './ssh/host-key.js';
import { HostKeys } from './ssh/known-hosts.js';
import type { SshConfig } from './ssh/ssh-config.js';
import { applyAlgorithmList } from './ssh/ssh-config-algorithms.js';
import { isUnfit } from './ssh/text-file.js';

/** Where the program has said nothing about known hosts, the configuration's files count, and so does its policy. */
export function hostKeyRules(cnopts: CnOpts, config: SshConfig | undefined): HostKeyRules {
  const rules = {
    ...cnopts.hostKeyRules(),
    ...minimumRsaBits(cnopts, config),
    alias: config?.hostKeyAlias,
  };
  if (config === undefined || rules.keys === null) return rules;
  const { userKnownHostsFiles, globalKnownHostsFiles, strictHostKeyChecking } = config;
  const acceptsNew = strictHostKeyChecking === 'accept-new' && cnopts.givenHostKeyPolicy === undefined;
  if (!cnopts.trustsDefaultHosts) {
    // Keys that the program has given itself are all that it trusts.
    return acceptsNew && cnopts.knownhosts.length > 0
      ? { ...rules, acceptNewIn: cnopts.knownHostsFile }
      : rules;
  }
  const files = [...(userKnownHostsFiles ?? []), ...(globalKnownHostsFiles ?? [])];
  const keys = userKnownHostsFiles === undefined ? rules.keys : new HostKeys();
  loadThoseThere(keys, files);
  const accepts = acceptsNew || rules.acceptNewIn !== undefined;
  return {
    ...rules,
    keys,
    acceptNewIn: accepts ? (userKnownHostsFiles?.[0] ?? cnopts.knownHostsFile) : undefined,
  };
}

/** As for ssh, a file that is not there knows no host. One that is there and that we refuse might revoke the key. */
function loadThoseThere(keys: HostKeys, files: readonly string[]): void {
  for (const file of files) {
    try {
      keys.load(file);
    } catch (error) {
      if (isUnfit((error as HostKeysError).cause)) throw error;
    }
  }
}

/** The configuration may ask for longer keys than we do, not for shorter ones. */
function minimumRsaBits(
  { algorithms: preset }: CnOpts,
  config: SshConfig | undefined,
): Pick<HostKeyRules, 'minimumRsaBits'> {
  const { requiredRsaBits } = config ?? {};
  if (requiredRsaBits === undefined) return {};
  const ours = preset === 'legacy' ? LEGACY_MINIMUM_RSA_BITS : MINIMUM_RSA_BITS;
  return { minimumRsaBits: Math.max(ours, requiredRsaBits) };
}

/** What the configuration asks for and does not get, for the log. */
export function configWarnings(cnopts: CnOpts, config: SshConfig | undefined): readonly string[] {
  if (config?.strictHostKeyChecking !== 'off' || cnopts.hostkeys === null) return config?.warnings ?? [];
  const text =
    'StrictHostKeyChecking no in the ssh configuration is not followed: servers that are not known are refused; ' +
    "hostKeyPolicy 'accept-new' adds them";
  return [...config.warnings, text];
}

/** Which keys may be used. */
export function identitySettings(
  cnopts: CnOpts,
  config: SshConfig | undefined,
): Pick<CredentialOptions, 'agent' | 'identityFiles' | 'identitiesOnly' | 'acceptedAlgorithms'> {
  const { identityFiles, identitiesOnly, identityAgent, pubkeyAcceptedAlgorithms: accepted } = config ?? {};
  const defaults = DEFAULT_OFFER.hostKeyAlgorithms;
  return {
    agent: cnopts.agent ?? identityAgent,
    identityFiles,
    identitiesOnly,
    acceptedAlgorithms: accepted === undefined ? undefined : applyAlgorithmList(accepted, defaults),
  };
}

export function algorithms(cnopts: CnOpts, config: SshConfig | undefined): AlgorithmOptions {
  const list = (given: readonly string[] | undefined, written: string | undefined, ours: readonly string[]) =>
    given ?? (written === undefined ? undefined : applyAlgorithmList(written, ours));
  return {
    preset: cnopts.algorithms,
    kex: list(cnopts.kex, config?.kexAlgorithms, DEFAULT_OFFER.kex),
    hostKeyAlgorithms: list(
      cnopts.hostKeyAlgorithms,
      config?.hostKeyAlgorithms,
      DEFAULT_OFFER.hostKeyAlgorithms,
    ),
    ciphers: list(cnopts.ciphers, config?.ciphers, DEFAULT_OFFER.ciphers),
    macs: list(cnopts.macs, config?.macs, DEFAULT_OFFER.macs),
    compression: cnopts.compression || config?.compression === true,
  };
}

/** To go another way than the configuration says, or to pass over a revocation, would be less safe than ssh. */
export function refuseUnsupported(config: SshConfig | undefined): void {
  const { proxyCommand, revokedHostKeys } = config ?? {};
  const keyword =
    proxyCommand !== undefined ? 'ProxyCommand' : revokedHostKeys !== undefined ? 'RevokedHostKeys' : '';
  if (keyword !== '') {
    const text = `the ssh configuration has ${keyword} for this host, which only transport: 'openssh' can do`;
    throw new SshError('CONFIG_UNSUPPORTED', text);
  }
}
