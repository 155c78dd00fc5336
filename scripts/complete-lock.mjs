// Adds to package-lock.json the optional packages of other platforms that npm left out. npm only locks what
// its registry shows, and a mirror may not carry every platform; `npm ci` then refuses the lock file. Run this
// after `npm install` has changed it.
import { readFileSync, writeFileSync } from 'node:fs';

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'));
const { packages } = lock;
for (const entry of Object.values(packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    // A range is not a version that could be locked.
    if (packages[`node_modules/${name}`] === undefined && /^\d+\.\d+\.\d+$/.test(version)) {
      packages[`node_modules/${name}`] = { version, ...platformOf(name), dev: true, optional: true };
    }
  }
}
lock.packages = Object.fromEntries(
  Object.entries(packages).sort(([left], [right]) => (left < right ? -1 : 1)),
);
writeFileSync('package-lock.json', `${JSON.stringify(lock, null, 2)}\n`);

/** Platform packages say in their name where they belong: `binding-linux-arm64-musl`. */
function platformOf(name) {
  const found = /(aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32)-([a-z0-9]+)/.exec(
    name,
  );
  if (found === null) return {};
  const [, os, cpu] = found;
  const libc = name.includes('musl') ? ['musl'] : name.endsWith('-gnu') ? ['glibc'] : undefined;
  return { cpu: [cpu], ...(libc === undefined ? {} : { libc }), os: [os] };
}
