import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SshError } from '../../../../../src/errors.js';
import type { PromptRequest } from '../../../../../src/ssh/credentials/prompts.js';
import { type AnswerOptions, Answers } from '../../../../../src/ssh/openssh/askpass/openssh-prompt.js';
import { readResolution } from '../../../../../src/ssh/openssh/openssh-resolution.js';

const resolution = readResolution('host web\nuser me\nhostname web.example\nport 2222\n', 'web');

const NEW = { version: [9, 2], promptCount: 1 };
const OLD = { version: [8, 4], promptCount: 1 };

interface Asking {
  readonly isJumpHost?: boolean;
  readonly isOwn?: boolean;
  readonly log?: typeof NEW;
}

function makeAnswerer(options: Partial<AnswerOptions>, onPromptError = (_error: unknown) => {}) {
  const answers = new Answers({ onPromptError, ...options });
  return (prompt: string, { isJumpHost = false, isOwn = true, log = NEW }: Asking = {}) =>
    answers.for({ resolution, isJumpHost, log })({ prompt, isOwn });
}

describe('what ssh is answered', () => {
  test('X12, X17: the password goes to the process for the server, once, where one prompt asks for it', async () => {
    const answer = makeAnswerer({ password: 'secret' });
    for (const prompt of [
      '(me@web.example) Verification code: ',
      '(me@web.example) New password: ',
      '(me@web.example) Retype password: ',
      '(me@web.example) Your name: ',
      "Enter passphrase for key '/k': ",
      'Are you sure you want to continue connecting (yes/no/[fingerprint])? ',
      "me@web.example's password is old. New password: ",
    ]) {
      assert.equal(await answer(prompt), undefined, prompt);
    }
    const right = "me@web.example's password: ";
    for (const prompt of [right, '(me@web.example) Password: ', 'Password: ']) {
      // Whatever it says, and however old ssh is.
      for (const log of [NEW, OLD]) {
        assert.equal(await answer(prompt, { isJumpHost: true, log }), undefined);
        assert.equal(await answer(prompt, { isOwn: false, log }), undefined);
      }
    }
    for (const promptCount of [0, 2]) {
      assert.equal(await answer('(me@web.example) Password: ', { log: { ...NEW, promptCount } }), undefined);
    }
    assert.equal(await answer(right), 'secret');
    assert.equal(await answer(right), undefined);
    const other = makeAnswerer({ password: 'secret' });
    assert.equal(await other('(me@web.example) Password: '), 'secret');
    assert.equal(await makeAnswerer({ password: 'secret' })('Password: ', { log: OLD }), 'secret');
  });

  test('a passphrase is given once for each key', async () => {
    const answer = makeAnswerer({ privateKeyPass: 'open' });
    assert.equal(await answer("Enter passphrase for key '/a': "), 'open');
    assert.equal(await answer("Enter passphrase for key '/a': "), undefined);
    assert.equal(await answer("Enter passphrase for key '/b': ", { isJumpHost: true }), 'open');
  });

  test('X12: a passphrase is refused where an older ssh may be passing on a question of a server', async () => {
    const errors: unknown[] = [];
    const question = "Enter passphrase for key '/a': ";
    for (const options of [{ password: 'secret' }, { onPrompt: () => ['open'] }]) {
      const answer = makeAnswerer({ privateKeyPass: 'open', ...options }, (error) => errors.push(error));
      assert.equal(await answer(question, { log: OLD }), undefined);
      assert.equal(await answer(question, { log: OLD, isJumpHost: true }), undefined);
    }
    const told = errors.map(
      (error) => error instanceof SshError && [error.code, /OpenSSH 8\.5/.test(error.message)],
    );
    assert.deepEqual(told, Array(4).fill(['UNSUPPORTED_OPTION', true]));
    // With nothing that a server may ask for, it is asked by ssh alone.
    assert.equal(await makeAnswerer({ privateKeyPass: 'open' })(question, { log: OLD }), 'open');
  });

  test('X11: the rest is for the user, who is told who asks, but an unknown host key is never said yes to', async () => {
    const asked: PromptRequest[] = [];
    const onPrompt = (request: PromptRequest) => {
      asked.push(request);
      return ['42'];
    };
    const answer = makeAnswerer({ onPrompt });
    assert.equal(await answer('(me@web.example) Code\u001b: '), '42');
    assert.equal(await answer('Continue connecting (yes/no)? '), undefined);
    assert.equal(await answer('(me@web.example) Code: ', { isJumpHost: true }), '42');
    assert.equal(await answer("me@web.example's password: ", { isOwn: false }), '42');
    const { host, port, username } = resolution;
    const prompts = [
      '(me@web.example) Code\\x1b: ',
      '(me@web.example) Code: ',
      "me@web.example's password: ",
    ];
    assert.deepEqual(
      asked.map((request) => ({ ...request, prompts: request.prompts.map(({ prompt }) => prompt) })),
      [
        { kind: 'keyboard-interactive', name: 'me@web.example', host, port, username, isJumpHost: false },
        { kind: 'keyboard-interactive', name: 'me@web.example', host, port, username, isJumpHost: true },
        { kind: 'password', name: '', host: '', port: 0, username: '', isJumpHost: true },
      ].map((request, index) => ({ ...request, instructions: '', prompts: [prompts[index]] })),
    );
  });
});

describe('answers', () => {
  test('a question that fails ends the attempt with its reason', async () => {
    const reason = new Error('gone for lunch');
    const errors: unknown[] = [];
    const onPrompt = () => Promise.reject(reason);
    const answer = makeAnswerer({ onPrompt }, (error) => errors.push(error));
    assert.equal(await answer('(me@web.example) Code: '), undefined);
    assert.deepEqual(errors, [reason]);
  });

  test('an empty answer is one, and none is none, and two lines are none', async () => {
    const answers = new Answers({ password: '', onPromptError: () => {} });
    const answer = answers.for({ resolution, isJumpHost: false, log: NEW });
    assert.equal(await answer({ prompt: "Enter passphrase for key '/k': ", isOwn: true }), undefined);
    assert.equal(answers.given, false);
    assert.equal(await answer({ prompt: "me@web.example's password: ", isOwn: true }), '');
    assert.equal(answers.given, true);
    const lines = makeAnswerer({ onPrompt: () => ['one\ntwo'] });
    assert.equal(await lines('(me@web.example) Code: '), undefined);
  });

  test('ssh asks for no password where there is none, and once where there is one', () => {
    const argumentsOf = (options: Partial<AnswerOptions>) =>
      new Answers({ onPromptError: () => {}, ...options }).arguments;
    assert.deepEqual(argumentsOf({ privateKeyPass: 'x' }), [
      '-oPasswordAuthentication=no',
      '-oKbdInteractiveAuthentication=no',
    ]);
    assert.deepEqual(argumentsOf({ password: '' }), ['-oNumberOfPasswordPrompts=1']);
    assert.deepEqual(argumentsOf({ password: '', onPrompt: () => [] }), []);
    const { hopArguments } = new Answers({ onPromptError: () => {}, password: 'secret' });
    assert.deepEqual(hopArguments, argumentsOf({}));
  });
});

describe('what ssh -G prints', () => {
  test('is read, the first answer of each keyword', () => {
    const text = [
      'user me',
      'hostname 10.0.0.1',
      'hostname other',
      'port 2200',
      'hostkeyalias web',
      'proxyjump me@hop:22',
      'stricthostkeychecking accept-new',
      'userknownhostsfile /a /b',
      'globalknownhostsfile /g',
      'knownhostscommand /bin/x %h',
      'serveraliveinterval 30',
      'ciphers aes256-ctr,aes128-ctr',
    ].join('\r\n');
    const { securityOptions, ...rest } = readResolution(text, 'web');
    assert.deepEqual(rest, {
      host: '10.0.0.1',
      port: 2200,
      username: 'me',
      hostKeyAlias: 'web',
      proxyJump: 'me@hop:22',
      acceptsNew: true,
      isDirect: false,
      userKnownHostsFiles: ['/a', '/b'],
      globalKnownHostsFiles: ['/g'],
      hasKnownHostsCommand: true,
      serverAliveIntervalSeconds: 30,
      controlPath: undefined,
    });
    assert.deepEqual(securityOptions, {
      ciphers: ['aes256-ctr', 'aes128-ctr'],
      digests: [],
      keyTypes: [],
      kex: [],
    });
  });
});
