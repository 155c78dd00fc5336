/** What the program's options and the user's ssh configuration together say about one host; the options win. */

import { type HostKeysError, SshError } from '../errors.js';
import {
  type AlgorithmList,
  type AlgorithmOptions,
  DEFAULT_OFFER,
  LEGACY_MINIMUM_RSA_BITS,
  presetOffer,
  resolveList,
} from '../ssh/algorithms.js';
import type { SshConfig } from '../ssh/config/ssh-config.js';
import { applyAlgorithmList } from '../ssh/config/ssh-config-algorithms.js';
import type { CredentialOptions } from '../ssh/credentials/credentials.js';
import { type HostKeyRules, MINIMUM_RSA_BITS } from '../ssh/host-keys/host-key.js';
import { HostKeys } from '../ssh/host-keys/known-hosts.js';
import { defaultKnownHosts } from '../ssh/host-keys/known-hosts-file.js';
import { isUnfit } from '../ssh/text-file.js';
import type { CnOpts } from './cnopts.js';

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
  const defaults = defaultKnownHosts();
  const user = userKnownHostsFiles ?? defaults.user;
  const keys = new HostKeys();
  loadThoseThere(keys, [...user, ...(globalKnownHostsFiles ?? defaults.global)]);
  const file = user[0] ?? cnopts.knownHostsFile;
  return {
    ...rules,
    keys: keys.include(cnopts.ownHostKeys ?? new HostKeys()),
    acceptNewIn: acceptsNew || rules.acceptNewIn !== undefined ? file : undefined,
    file,
  };
}

/** As for ssh, a missing file knows no host. An existing file that we refuse might revoke the key. */
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
    identityFiles: cnopts.identityFiles === false ? [] : (cnopts.identityFiles ?? identityFiles),
    identitiesOnly,
    acceptedAlgorithms: accepted === undefined ? undefined : applyAlgorithmList(accepted, defaults),
  };
}

export function algorithms(cnopts: CnOpts, config: SshConfig | undefined): AlgorithmOptions {
  const preset = presetOffer(cnopts.algorithms);
  const list = (given: AlgorithmList | undefined, written: string | undefined, ours: readonly string[]) => {
    const configured = written === undefined ? undefined : applyAlgorithmList(written, ours);
    return given === undefined ? configured : resolveList(given, configured ?? ours);
  };
  return {
    preset: cnopts.algorithms,
    kex: list(cnopts.kex, config?.kexAlgorithms, preset.kex),
    hostKeyAlgorithms: list(cnopts.hostKeyAlgorithms, config?.hostKeyAlgorithms, preset.hostKeyAlgorithms),
    ciphers: list(cnopts.ciphers, config?.ciphers, preset.ciphers),
    macs: list(cnopts.macs, config?.macs, preset.macs),
    compression: cnopts.compression || config?.compression === true,
  };
}

/** The lists that the program has given, for ssh, which knows the rest by itself. */
export function givenAlgorithms(cnopts: CnOpts): Pick<AlgorithmOptions, (typeof LISTS)[number]> {
  const preset = presetOffer(cnopts.algorithms);
  const lists = LISTS.map((name) => {
    const given = cnopts[name];
    return [name, given && resolveList(given, preset[name])] as const;
  });
  return Object.fromEntries(lists);
}

const LISTS = ['kex', 'hostKeyAlgorithms', 'ciphers', 'macs'] as const;

/** To go another way than the configuration says, or to pass over a revocation, would be less safe than ssh. */
export function refuseUnsupported(
  config: SshConfig | undefined,
  { hasOwnWay = false }: { readonly hasOwnWay?: boolean } = {},
): void {
  const { revokedHostKeys } = config ?? {};
  const proxyCommand = hasOwnWay ? undefined : config?.proxyCommand;
  const keyword =
    proxyCommand !== undefined ? 'ProxyCommand' : revokedHostKeys !== undefined ? 'RevokedHostKeys' : '';
  if (keyword !== '') {
    const text = `The ssh configuration has ${keyword} for this host; use transport: 'openssh'${proxyCommand === undefined ? '' : ', or give the option proxyCommand'}`;
    throw new SshError('CONFIG_UNSUPPORTED', text);
  }
}
