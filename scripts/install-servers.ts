// Finds the programs that tests and lint run, and installs their Debian packages where it may.

import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

const programs = {
  valkey: {
    command: 'valkey-server',
    debianPackage: 'valkey-server',
    variable: 'HOLDFAST_VALKEY_SERVER',
    banner: /^Valkey server v=/,
  },
  redis: {
    command: 'redis-server',
    debianPackage: 'redis-server',
    variable: 'HOLDFAST_REDIS_SERVER',
    banner: /^Redis server v=/,
  },
  luacheck: {
    command: 'luacheck',
    debianPackage: 'lua-check',
    variable: 'HOLDFAST_LUACHECK',
    banner: /^Luacheck: /,
  },
}

type Program = (typeof programs)[keyof typeof programs]

/** Paths of the named programs: from the environment, from PATH, or freshly installed. */
export async function findOrInstall<Name extends keyof typeof programs>(
  ...names: Name[]
): Promise<Record<Name, string>> {
  const missing: Program[] = []
  for (const name of names) {
    if (!(await find(programs[name]))) missing.push(programs[name])
  }
  const tried = missing.length > 0 ? await install(missing) : ''
  const paths = {} as Record<Name, string>
  for (const name of names) {
    const path = await find(programs[name])
    if (!path) throw new Error(missingText(programs[name], tried))
    paths[name] = path
  }
  return paths
}

async function find(program: Program): Promise<string | undefined> {
  const chosen = process.env[program.variable]
  if (chosen) {
    if (await answersAs(program, chosen)) return chosen
    throw new Error(`${program.variable}=${chosen} does not answer as ${program.command}`)
  }
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, program.command)
    if (await answersAs(program, path)) return path
  }
  return undefined
}

/** Some systems ship one server under the other's name: its banner decides, not the file name. */
async function answersAs(program: Program, path: string): Promise<boolean> {
  if (!isExecutable(path)) return false
  const answer = await run(path, ['--version']).catch(() => undefined)
  return answer !== undefined && program.banner.test(answer.stdout)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function missingText({ command, debianPackage, variable }: Program, tried: string): string {
  return [
    `${command} is missing.`,
    `Tried: ${variable} (not set), PATH (not there), apt-get install (${tried}).`,
    `To do: install it (Debian package ${debianPackage}) or set ${variable} to its path.`,
  ].join('\n  ')
}

// The policy file keeps package scripts from starting system daemons; one that we find stays.
// Other people's broken sources must not stop us, so only the installation itself may fail.
const installScript = `
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\\nexit 101\\n' > "$policy" && chmod 755 "$policy"
fi
apt-get update
if [ -n "$BACKPORTS" ] && ! apt-get install --simulate "$@" > /dev/null 2>&1; then
  printf '%s\\n' "$BACKPORTS" > /etc/apt/sources.list.d/holdfast-backports.sources
  apt-get update
fi
apt-get -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends "$@"
`

// One install at a time: no process may remove its policy file while another still relies on it.
const installLock = '/run/lock/holdfast-apt.lock'

/** Installs the packages if it may, and says how that ended for the case that it did not help. */
async function install(missing: Program[]): Promise<string> {
  if (process.getuid?.() !== 0) return 'not attempted: not running as root'
  if (!isExecutable('/usr/bin/apt-get')) return 'not attempted: no apt-get on this system'
  const packages = missing.map((program) => program.debianPackage)
  console.error(`Installing Debian packages: ${packages.join(', ')}`)
  const env = {
    ...process.env,
    DEBIAN_FRONTEND: 'noninteractive',
    BACKPORTS: backportsSource(readAptConfiguration(), readCodename()) ?? '',
  }
  try {
    await run('flock', [installLock, 'sh', '-c', installScript, 'sh', ...packages], { env })
    return 'done, yet it does not answer --version'
  } catch (error) {
    const { stderr } = error as { stderr?: string }
    const reason = (stderr || String(error)).trim().split('\n')
    return `failed: ${reason.slice(-3).join(' / ')}`
  }
}

function readAptConfiguration(): string[] {
  const folder = '/etc/apt/sources.list.d'
  const names = readdirSync(folder).filter((name) => /\.(sources|list)$/.test(name))
  const paths = ['/etc/apt/sources.list', ...names.map((name) => join(folder, name))]
  return paths.filter((path) => existsSync(path)).map((path) => readFileSync(path, 'utf8'))
}

function readCodename(): string {
  const release = readFileSync('/etc/os-release', 'utf8')
  return /^VERSION_CODENAME="?(\w+)"?$/m.exec(release)?.[1] ?? ''
}

/** The source that adds backports beside the machine's own main suite, from the same mirror. */
function backportsSource(configuration: string[], codename: string): string | undefined {
  const main = configuration
    .flatMap((text) => [...readOneLineEntries(text), ...readStanzas(text)])
    .find((entry) => entry.suites.includes(codename) && entry.components.includes('main'))
  if (!main) return undefined
  return [
    'Types: deb',
    `URIs: ${main.uri}`,
    `Suites: ${codename}-backports`,
    'Components: main',
    ...(main.signedBy ? [`Signed-By: ${main.signedBy}`] : []),
  ].join('\n')
}

type AptEntry = { uri: string; suites: string[]; components: string[]; signedBy?: string }

/** Reads `deb [signed-by=key] uri suite component…` lines. */
function readOneLineEntries(text: string): AptEntry[] {
  const pattern = /^deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)[ \t]+(.*)$/gm
  return [...text.matchAll(pattern)].map(([, options = '', uri = '', suite = '', rest = '']) => {
    const signedBy = /signed-by=(\S+)/.exec(options)?.[1]
    const components = rest.trim().split(/\s+/)
    return { uri, suites: [suite], components, ...(signedBy ? { signedBy } : {}) }
  })
}

/** Reads stanzas of `Field: value` lines; a value goes on over lines that start with a space. */
function readStanzas(text: string): AptEntry[] {
  const stanzas = text.replaceAll(/^#.*\n/gm, '').split(/\n{2,}/)
  return stanzas.flatMap((stanza) => {
    const field = (name: string) =>
      new RegExp(`^${name}:[ \\t]*(.*(?:\\n[ \\t].*)*)`, 'im').exec(stanza)?.[1] ?? ''
    const words = (name: string) => field(name).trim().split(/\s+/)
    const [uri] = words('URIs')
    if (!uri || !words('Types').includes('deb') || field('Enabled').trim() === 'no') return []
    const signedBy = field('Signed-By')
    const lists = { suites: words('Suites'), components: words('Components') }
    return [{ uri, ...lists, ...(signedBy ? { signedBy } : {}) }]
  })
}
