// The page behind a signed link: what it says, and what it lets a browser do.
import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { type SignalHandlerOptions, signalHandler } from '../../src/engine/signal-handler.ts'

const token = 'a.token'

async function pageOf(confirmPage: NonNullable<SignalHandlerOptions['confirmPage']>) {
  const faults: unknown[] = []
  const handle = signalHandler({
    deliver: async () => {
      throw new Error('GET never signals')
    },
    confirmPage,
    onError: (fault) => faults.push(fault),
  })
  const response = await handle(new Request(`https://example.org/signals/${token}?name=go`))
  const policy = `${response.headers.get('content-security-policy')}`
  return { text: await response.text(), policy, faults }
}

it('says what the application knows of the signal', async () => {
  const { text, faults } = await pageOf(({ url }) => `<b> ${url.includes(token)}`)
  expect(text).toContain('<p>Please confirm: &#60;b&#62; true</p>')
  expect(faults).toEqual([])
})

it('is there also when the application cannot say anything', async () => {
  const fault = new Error('forgotten')
  const { text, faults } = await pageOf(() => {
    throw fault
  })
  expect(text).toContain('<p>Please confirm: go</p>')
  expect(faults).toEqual([fault])
})

it('allows its own style and nothing else', async () => {
  const { text, policy } = await pageOf(true)
  const [, style = ''] = /<style>([^<]*)<\/style>/.exec(text) ?? []
  const digest = createHash('sha256').update(style).digest('base64')
  expect(policy.split('; ').sort()).toEqual([
    "base-uri 'none'",
    "default-src 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    `style-src 'sha256-${digest}'`,
  ])
})
