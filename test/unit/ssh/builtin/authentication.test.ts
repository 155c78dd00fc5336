import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import type { KeyboardInteractiveAuthMethod } from 'ssh2';
import { AuthenticationError } from '../../../../src/errors.js';
import { Authentication } from '../../../../src/ssh/builtin/authentication.js';
import { type PrivateKey, parsePrivateKey } from '../../../../src/ssh/credentials/private-key.js';
import type { QuestionHandler } from '../../../../src/ssh/credentials/prompts.js';

function makeKey(label: string): PrivateKey {
  const { privateKey } = generateKeyPairSync('ed25519');
  return parsePrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), label);
}

interface Given {
  readonly keys?: readonly PrivateKey[];
  readonly password?: string;
  readonly onPrompt?: QuestionHandler;
  readonly onPromptError?: (error: unknown) => void;
  readonly asksFirst?: boolean;
}

function make({ keys = [], password, onPrompt, onPromptError = () => {}, asksFirst }: Given): Authentication {
  return new Authentication({
    username: 'me',
    host: 'there',
    port: 22,
    credentials: { keys, password },
    onPrompt,
    onPromptError,
    asksFirst,
  });
}

/** Up to the point where the server tells its list. */
async function begin(given: Given): Promise<Authentication> {
  const authentication = make(given);
  assert.deepEqual(await authentication.next(null, false), { type: 'none', username: 'me' });
  return authentication;
}

/** Lets the server refuse everything, and gives what was tried. */
async function exhaust(
  authentication: Authentication | Promise<Authentication>,
  offered: readonly string[],
): Promise<readonly (string | undefined)[]> {
  const types: string[] = [];
  for (
    let next = await (await authentication).next(offered, false);
    next !== undefined;
    next = await (await authentication).next(offered, false)
  ) {
    types.push(next.type);
  }
  return types;
}

/** By a call, as assertions would make the compiler believe that it stays. */
function refusalOf({ refusal }: Authentication): AuthenticationError | undefined {
  return refusal;
}

const ALL = ['publickey', 'password', 'keyboard-interactive'];

function ask(attempt: unknown, prompts: { prompt: string; echo: boolean }[]): Promise<readonly string[]> {
  const { prompt } = attempt as KeyboardInteractiveAuthMethod;
  return new Promise((resolve) => prompt('name\x1b', 'do', '', prompts, resolve));
}

describe('authentication', () => {
  test('H13 keys come first, in their order, and the password last', async () => {
    const authentication = await begin({ keys: [makeKey('a'), makeKey('b')], password: 'x' });
    assert.deepEqual(await exhaust(authentication, ALL), ['publickey', 'publickey', 'password']);
    assert.deepEqual(authentication.tried, ['publickey (a)', 'publickey (b)', 'password']);
  });

  test('H12 the password is not for a server that does not ask for it', async () => {
    assert.deepEqual(await exhaust(begin({ password: 'x' }), ['publickey']), []);
    const both = { password: 'x', keys: [makeKey('a')] };
    assert.deepEqual(await exhaust(begin({ ...both, asksFirst: true }), ['publickey']), ['publickey']);
    assert.deepEqual(await exhaust(begin(both), ['publickey']), ['publickey']);
  });

  test('an empty list says nothing, and then all that there is is tried', async () => {
    const authentication = await begin({ keys: [makeKey('a')], password: 'x' });
    assert.deepEqual(await exhaust(authentication, []), ['publickey', 'keyboard-interactive', 'password']);
    const { message } = authentication.failure();
    assert.match(message, /password\)\. Check the user name and the password$/);
  });

  test('the only key is tried unasked, and its refusal tells what else there is', async () => {
    const authentication = make({ keys: [makeKey('a')], onPrompt: () => ['x'] });
    assert.equal((await authentication.next(null, false))?.type, 'publickey');
    assert.equal((await authentication.next(ALL, false))?.type, 'keyboard-interactive');
    const steps = make({ keys: [makeKey('a')], onPrompt: () => ['x'] });
    assert.equal((await steps.next(null, false))?.type, 'publickey');
    assert.equal((await steps.next(['password'], true))?.type, 'password');
  });

  test('X19: a key that was tried before its method was wanted is tried again once it is', async () => {
    const authentication = make({ keys: [makeKey('a')], onPrompt: () => ['x'] });
    assert.equal((await authentication.next(null, false))?.type, 'publickey');
    assert.equal((await authentication.next(['password'], false))?.type, 'password');
    assert.equal((await authentication.next(['publickey'], true))?.type, 'publickey');
    assert.equal(await authentication.next(['publickey'], false), undefined);
  });

  test('X19: where there is a password, the list is asked for, as a key too early would cost an attempt', async () => {
    assert.equal((await make({ keys: [makeKey('a')], password: 'x' }).next(null, false))?.type, 'none');
  });

  test('X19: each step begins the list anew, and a server that wants steps without end gets no more', async () => {
    const authentication = await begin({ keys: [makeKey('a'), makeKey('b')], password: 'x' });
    assert.equal((await authentication.next(ALL, false))?.type, 'publickey');
    assert.equal((await authentication.next(ALL, true))?.type, 'publickey');
    assert.equal((await authentication.next(ALL, true))?.type, 'password');
    for (let step = 3; step <= 8; step++) assert.ok(await authentication.next(ALL, true));
    assert.deepEqual(authentication.tried.slice(0, 3), ['publickey (a)', 'publickey (b)', 'password']);
    await assert.rejects(authentication.next(ALL, true), AuthenticationError);
  });

  test('once all is refused, it is asked whether a login is needed at all; if that ends it, the refusal stands', async () => {
    const authentication = make({ keys: [makeKey('a')] });
    await authentication.next(null, false);
    assert.equal(refusalOf(authentication), undefined);
    assert.deepEqual(await authentication.next(['publickey'], false), { type: 'none', username: 'me' });
    const refusal = refusalOf(authentication);
    assert.deepEqual([refusal?.tried, refusal?.offered], [['publickey (a)'], ['publickey']]);
    assert.equal(authentication.interruption('Too many authentication failures', undefined), refusal);
    assert.equal(await authentication.next(['publickey'], false), undefined);
  });

  test('the list is asked for where a key could not be tried, and an error does not make one up', async () => {
    const authentication = make({ keys: [makeKey('a')], onPrompt: () => ['x'] });
    assert.equal((await authentication.next(null, false))?.type, 'publickey');
    const error = authentication.interruption('too many', undefined);
    assert.match(error.message, /\(tried: publickey \(a\)\)\. /);
    assert.deepEqual(error.offered, []);
    assert.equal((await authentication.next(null, false))?.type, 'none');
    assert.equal((await authentication.next(['password'], false))?.type, 'password');
    assert.equal(authentication.refusal, undefined);
  });

  test('after one step of several, what is left is matched with the new list', async () => {
    const authentication = await begin({ keys: [makeKey('a'), makeKey('b')], password: 'x' });
    assert.equal((await authentication.next(['publickey'], false))?.type, 'publickey');
    assert.equal((await authentication.next(['password'], true))?.type, 'password');
    assert.equal(await authentication.next(['password'], false), undefined);
    assert.match(authentication.failure().message, /one step succeeded/);
  });

  test('the password answers one hidden prompt, once, where the server knows only keyboard-interactive', async () => {
    const authentication = await begin({ password: 'x' });
    const attempt = await authentication.next(['keyboard-interactive'], false);
    assert.equal(attempt?.type, 'keyboard-interactive');
    assert.deepEqual(await ask(attempt, [{ prompt: 'Password: ', echo: false }]), ['x']);
    assert.deepEqual(await ask(attempt, [{ prompt: 'Password: ', echo: false }]), ['']);
  });

  test('the password does not answer a visible prompt or one of several', async () => {
    const visible = await (await begin({ password: 'x' })).next(['keyboard-interactive'], false);
    assert.deepEqual(await ask(visible, [{ prompt: 'Name: ', echo: true }]), ['']);
    const several = await (await begin({ password: 'x' })).next(['keyboard-interactive'], false);
    const prompts = [
      { prompt: 'Password: ', echo: false },
      { prompt: 'Code: ', echo: false },
    ];
    assert.deepEqual(await ask(several, prompts), ['', '']);
  });

  test('prompts reach the user escaped, and a refusal ends the login', async () => {
    const seen: unknown[] = [];
    const onPrompt: QuestionHandler = (request) => {
      seen.push(request);
      return request.prompts.map(() => 'answer');
    };
    const attempt = await (await begin({ onPrompt })).next(ALL, false);
    assert.deepEqual(await ask(attempt, [{ prompt: 'Code\x07: ', echo: true }]), ['answer']);
    assert.deepEqual(seen, [
      {
        kind: 'keyboard-interactive',
        name: 'name\\x1b',
        instructions: 'do',
        prompts: [{ prompt: 'Code\\x07: ', echo: true }],
      },
    ]);
    const error = new Error('no');
    const refused = await new Promise((resolve) => {
      void begin({ onPrompt: () => Promise.reject(error), onPromptError: resolve })
        .then((authentication) => authentication.next(ALL, false))
        .then((refusing) => ask(refusing, [{ prompt: 'Code: ', echo: true }]));
    });
    assert.equal(refused, error);
  });

  test('the failure lists what was tried and what is offered, without a secret', async () => {
    const authentication = await begin({ password: 'my secret' });
    await exhaust(authentication, ['password', 'bad\x1b']);
    const error = authentication.failure();
    assert.deepEqual([error.tried, error.offered], [['password'], ['password', 'bad\\x1b']]);
    assert.doesNotMatch(error.message, /my secret/);
    assert.match(error.message, /Check the user name and the password/);
  });

  test('a password is asked for three times at most, and only of a server that takes it', async () => {
    const asked: string[] = [];
    const onPrompt: QuestionHandler = ({ kind, name, prompts }) => {
      asked.push(`${kind} ${name}`);
      return prompts.map(() => 'guess');
    };
    assert.deepEqual(await exhaust(begin({ onPrompt }), ['publickey']), []);
    assert.deepEqual(asked, []);
    const authentication = begin({ onPrompt });
    assert.deepEqual(await exhaust(authentication, ['password']), ['password', 'password', 'password']);
    assert.deepEqual(asked, Array(3).fill('password me@there'));
    assert.equal((await authentication).redact('my guess is'), 'my *** is');
  });

  test('keyboard-interactive is tried again if the user was asked, and a code is not the password', async () => {
    const onPrompt: QuestionHandler = ({ prompts }) => prompts.map(({ prompt }) => `for ${prompt}`);
    const authentication = await begin({ onPrompt, password: 'x' });
    const first = await authentication.next(['keyboard-interactive'], false);
    assert.deepEqual(await ask(first, [{ prompt: 'Password: ', echo: false }]), ['x']);
    assert.equal(await authentication.next(['keyboard-interactive'], false), undefined);
    const other = await begin({ onPrompt, password: 'x' });
    for (const _ of [1, 2, 3]) {
      const attempt = await other.next(['keyboard-interactive'], false);
      assert.deepEqual(await ask(attempt, [{ prompt: 'One-time password: ', echo: false }]), [
        'for One-time password: ',
      ]);
    }
    assert.equal(await other.next(['keyboard-interactive'], false), undefined);
    assert.equal(other.redact('<for One-time password: >'), '<***>');
  });

  test('several prompts are answered together, and answers that do not fit are an error', async () => {
    const prompts = [
      { prompt: 'Password: ', echo: false },
      { prompt: 'Code: ', echo: true },
    ];
    const both = await (await begin({ onPrompt: () => ['a', 'b'] })).next(ALL, false);
    assert.deepEqual(await ask(both, prompts), ['a', 'b']);
    const refused = await new Promise((resolve) => {
      void begin({ onPrompt: () => ['a'], onPromptError: resolve })
        .then((authentication) => authentication.next(ALL, false))
        .then((attempt) => ask(attempt, prompts));
    });
    assert.ok(refused instanceof TypeError && /array of 2 for keyboard-interactive/.test(refused.message));
  });

  test('a new password is asked for twice, and has to be the same', async () => {
    const answers = [
      ['one', 'other'],
      ['', ''],
      ['new one', 'new one'],
    ];
    const seen: string[] = [];
    const onPrompt: QuestionHandler = ({ kind, instructions, prompts }) => {
      seen.push(`${kind} ${prompts.length} ${instructions}`);
      return answers.shift() ?? ['a', 'b'];
    };
    const authentication = await begin({ onPrompt, password: 'old one' });
    assert.equal(await authentication.changePassword('too old\x1b'), undefined);
    assert.equal((await authentication.next(['password'], false))?.type, 'password');
    assert.deepEqual(await authentication.changePassword('too old\x1b'), {
      password: 'old one',
      newPassword: 'new one',
    });
    assert.equal(seen[0], 'new-password 2 too old\\x1b');
    await assert.rejects(authentication.changePassword('again'), (error) => {
      assert.match(String(error), /has expired, and no new one was given/);
      assert.doesNotMatch(String(error), /old one/);
      return true;
    });
    const alone = await begin({ password: 'old one' });
    assert.equal((await alone.next(['password'], false))?.type, 'password');
    assert.equal(await alone.changePassword('too old'), undefined);
    assert.match(alone.passwordExpired().message, /give onPrompt/);
  });
});
