// The two pages that people see who follow a link to a waitpoint: a button, and what came of it.

import { createHash } from 'node:crypto'

const style = `
:root { color-scheme: light dark; font: 1.125rem/1.5 system-ui, sans-serif }
body { max-width: 32rem; margin: 15vh auto; padding: 0 1rem; overflow-wrap: anywhere }
button { font: inherit; padding: 0.5em 1.5em; cursor: pointer }
`

/** What a security policy must allow for these pages to look as they should, and nothing else. */
export const styleSource = `'sha256-${createHash('sha256').update(style).digest('base64')}'`

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`)
}

function page(content: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>Confirm</title>
<style>${style}</style>
${content}
</html>
`
}

/** A button that sends the signal to the address of the page itself. */
export function confirmPage(subject: string | undefined): string {
  const what = subject === undefined ? '' : `: ${escaped(subject)}`
  return page(`<p>Please confirm${what}</p>
<form method="post"><button>Confirm</button></form>`)
}

/** What came of pressing the button. */
export function resultPage(text: string): string {
  return page(`<p>${escaped(text)}</p>`)
}
