// What a single licence asks of those who use the code, in six grades from friendly to strict.

export type Category =
  | 'public-domain'
  | 'permissive'
  | 'weak-copyleft'
  | 'copyleft'
  | 'proprietary'
  | 'unknown'

/**
 * Friendliest first. `unknown` is last because nobody can say what it asks: joined by AND it must
 * win, and of two choices joined by OR it must lose.
 */
export const categories: readonly Category[] = [
  'public-domain',
  'permissive',
  'weak-copyleft',
  'copyleft',
  'proprietary',
  'unknown',
]

export function isStricter(one: Category, other: Category): boolean {
  return categories.indexOf(one) > categories.indexOf(other)
}

const publicDomain =
  /^(CC0-1\.0|CC-PD.+|Unlicense(-.+)?|PDDL-1\.0|blessing|SAX-PD(-2\.0)?|NIST-PD(-.+)?)$/

// Restricts who may use the code or for what, so it is not open source whatever its source shows.
const restricted = new RegExp(
  '^(BUSL-1\\.1|SSPL-1\\.0|Elastic-2\\.0|FSL-.+|PolyForm-.+|CC-BY-N[CD]-.+|Hippocratic-2\\.1' +
    '|LicenseRef-Commons-Clause)$',
)

const copyleft = new RegExp(
  '^(A?GPL-.+|OSL-.+|EUPL-.+|CC-BY-SA-.+|CECILL-[12]\\.\\d|copyleft-next-.+|RPL-.+|Sleepycat' +
    '|QPL-.+|CPAL-1\\.0|GFDL-.+|ODbL-1\\.0|Parity-.+|NPOSL-3\\.0|CERN-OHL-S-2\\.0|SimPL-2\\.0' +
    '|LiLiQ-Rplus-1\\.1|BSD-Protection)$',
)

const weakCopyleft = new RegExp(
  '^(LGPL-.+|LGPLLR|MPL-.+|EPL-.+|CDDL-.+|CPL-1\\.0|IPL-1\\.0|SPL-1\\.0|NPL-.+|APSL-.+|MS-RL' +
    '|CECILL-C|Artistic-.+|ClArtistic|OFL-.+|CERN-OHL-W-2\\.0|LiLiQ-R-1\\.1|ErlPL-1\\.1' +
    '|SISSL(-1\\.2)?|wxWindows|eCos-2\\.0)$',
)

const permissive = new RegExp(
  '^(MIT(-.+)?|MITNFA|X11(-.+)?|0BSD|BSD-.+|ISC(-.+)?|Apache-.+|Zlib|zlib-acknowledgement' +
    '|[Ll]ibpng(-2\\.0)?|BSL-1\\.0|BlueOak-1\\.0\\.0|AFL-.+|CC-BY-\\d.+|NCSA|UPL-1\\.0|WTFPL' +
    '|PSF-2\\.0|Python-2\\.0(\\.1)?|CNRI-.+|PostgreSQL|MS-PL|MulanPSL-.+|Unicode-.+|HPND(-.+)?' +
    '|ICU|curl|OpenSSL(-standalone)?|OLDAP-.+|PHP-.+|Ruby|TCL|W3C(-.+)?|FTL|IJG(-short)?' +
    '|Beerware|FSFAP|FSFUL.*|NTP(-0)?|Xnet|ECL-.+|EFL-.+|Intel|Info-ZIP|bzip2-.+|SMLNJ|Zend-2\\.0' +
    '|ZPL-.+|Net-SNMP|Spencer-.+|CDLA-Permissive-.+|ODC-By-1\\.0|Fair|MirOS|Entessa|JasPer-2\\.0' +
    '|NetCDF|NAIST-2003|VSL-1\\.0|Plexus|SunPro|TU-Berlin-.+|SGI-B-2\\.0|Bitstream-Vera)$',
)

const patterns: readonly (readonly [RegExp, Category])[] = [
  [publicDomain, 'public-domain'],
  [restricted, 'proprietary'],
  [copyleft, 'copyleft'],
  [weakCopyleft, 'weak-copyleft'],
  [permissive, 'permissive'],
]

/** An identifier that no pattern names is `unknown`: a wrong guess is worse than a question. */
export function categoryOfLicence(id: string): Category {
  return patterns.find(([pattern]) => pattern.test(id))?.[1] ?? 'unknown'
}

// Exceptions only ever add permissions. These let other code be linked without becoming copyleft.
const linkingException =
  /^(Classpath|GCC|LLVM|OpenJDK|WxWindows|FLTK|eCos|Bison|Autoconf|Font|Linux-syscall|u-boot)/

export function withException(category: Category, exception: string): Category {
  return category === 'copyleft' && linkingException.test(exception) ? 'weak-copyleft' : category
}
