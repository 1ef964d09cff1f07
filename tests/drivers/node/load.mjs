// Packages lie in the cache directory, outside this repository: they are resolved from the directory given there.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

const cache = process.env.WEIR_DRIVERS_CACHE ?? join(homedir(), '.cache/weir-drivers');
export const load = createRequire(join(cache, 'node/package.json'));
export const versionOf = (name) => JSON.parse(readFileSync(join(cache, 'node/node_modules', name, 'package.json'), 'utf8')).version;
