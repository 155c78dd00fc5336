import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AnswerOptions, Answers } from '../../../src/ssh/openssh-prompt.js';
import { readResolution } from '../../../src/ssh/openssh-resolution.js';
import type { PromptRequest } from '../../../src/ssh/prompts.js';

const resolution = readResolution('host web\nuser me\nhostname web.example\nport 2222\n', 'web');

function makeAnswerer(options: Partial<AnswerOptions>, onPromptError = (_error: unknown) => {}) {
  return new Answers({ onPromptError, ...options }).for(resolution);
}

describe('what ssh is answered', () => {
  test('the password goes to the server that it is for, once, and to nobody else', async () => {
    const answer = makeAnswerer({ password: 'secret' });
    for (const prompt of [
      "me@hop's password: ",
      "other@web.example's password: ",
      '(me@hop) Password: ',
      '(me@web.example) Verification code: ',
      "Enter passphrase for key '/k': ",
      'Are you sure you want to continue connecting (yes/no/[fingerprint])? ',
      "me@web.example's password is old. New password: ",
    ]) {
      assert.equal(await answer(prompt), undefined, prompt);
    }
    assert.equal(await answer("me@web.example's password: "), 'secret');
    assert.equal(await answer("me@web.example's password: "), undefined);
    const other = makeAnswerer({ password: 'secret' });
    assert.equal(await other('(me@web.example) Password: '), 'secret');
  });

  test('a passphrase is given once for each key', async () => {
    const answer = makeAnswerer({ privateKeyPass: 'open' });
    assert.equal(await answer("Enter passphrase for key '/a': "), 'open');
    assert.equal(await answer("Enter passphrase for key '/a': "), undefined);
    assert.equal(await answer("Enter passphrase for key '/b': "), 'open');
  });

  test('the rest is for the user, but an unknown host key is never said yes to', async () => {
    const asked: PromptRequest[] = [];
    const onPrompt = (request: PromptRequest) => {
      asked.push(request);
      return ['42'];
    };
    const answer = makeAnswerer({ onPrompt });
    assert.equal(await answer('(me@web.example) Code\u001b: '), '42');
    assert.equal(await answer('Continue connecting (yes/no)? '), undefined);
    assert.equal(asked.length, 1);
    assert.deepEqual([asked[0]?.kind, asked[0]?.name], ['keyboard-interactive', 'me@web.example']);
    assert.equal(asked[0]?.prompts[0]?.prompt, '(me@web.example) Code\\x1b: ');
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

  test('an empty answer is one, and none is none', async () => {
    const answers = new Answers({ password: '', onPromptError: () => {} });
    const answer = answers.for(resolution);
    assert.equal(await answer("Enter passphrase for key '/k': "), undefined);
    assert.equal(answers.given, false);
    assert.equal(await answer("me@web.example's password: "), '');
    assert.equal(answers.given, true);
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
