// Payloads of signals as bytes and as values.
import { EngineError } from '../errors.ts'
import { type Codec, jsonCodec } from './json-codec.ts'

export interface EncodedPayload {
  readonly payload: Uint8Array | undefined
  readonly encoding: string
}

/** Bytes go as they are, anything else as the codec writes it; undefined is no payload. */
export function encodePayload(codec: Codec, value: unknown): EncodedPayload {
  if (value === undefined) return { payload: undefined, encoding: 'json' }
  if (value instanceof Uint8Array) return { payload: value, encoding: 'binary' }
  try {
    const payload: unknown = codec.encode(value)
    if (!(payload instanceof Uint8Array)) throw new TypeError('the codec did not make bytes')
    return { payload, encoding: codec === jsonCodec ? 'json' : 'codec' }
  } catch (cause) {
    throw new EngineError('invalid_input', `the payload cannot be encoded: ${cause}`, {
      cause,
      details: { argument: 'payload' },
    })
  }
}

/** The value of a payload: JSON and text are read, what the codec wrote it reads, bytes stay. */
export function decodePayload(
  codec: Codec,
  encoding: string,
  payload: Uint8Array | undefined,
): unknown {
  if (payload === undefined) return undefined
  switch (encoding) {
    case 'json':
      return jsonCodec.decode(payload)
    case 'utf8':
      return Buffer.from(payload).toString()
    case 'codec':
      return codec.decode(payload)
    default:
      return payload
  }
}
