// How values become the bytes that the engine stores: JSON, unless the user brings something else.

/** Turns values into bytes and back, for example to encrypt them. */
export interface Codec {
  encode(value: unknown): Uint8Array
  decode(bytes: Uint8Array): unknown
}

/** JSON in UTF-8; `undefined` is no bytes at all. */
export const jsonCodec: Codec = {
  encode(value) {
    const text = JSON.stringify(value)
    return text === undefined ? new Uint8Array(0) : Buffer.from(text)
  },
  decode(bytes) {
    if (bytes.byteLength === 0) return undefined
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString())
  },
}
