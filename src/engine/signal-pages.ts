// The two pages that people see who follow a link to a waitpoint: a button, and what came of it.

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
${content}
</html>
`
}

/** A button that sends the signal to the address of the page itself. */
export function confirmPage(name: string | undefined): string {
  const what = name === undefined ? '' : `: ${escaped(name)}`
  return page(`<p>Please confirm${what}</p>
<form method="post"><button>Confirm</button></form>`)
}

/** What came of pressing the button. */
export function resultPage(text: string): string {
  return page(`<p>${escaped(text)}</p>`)
}
