// Fits values into Standard Schemas, with every issue in one error.
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { EngineError } from '../errors.ts'

/** What a value is, for errors about it. */
type About = Readonly<Record<string, string>>

/** What a schema makes of a value; throws `invalid_input` with every issue found. */
export async function checkValue(
  what: string,
  schema: StandardSchemaV1,
  value: unknown,
  about: About,
): Promise<unknown> {
  const result = await validate(what, schema, value, about)
  if (result.issues === undefined) return result.value
  const issues = result.issues.map(({ message, path }) => {
    const where = path?.map((part) => String(typeof part === 'object' ? part.key : part)).join('.')
    return where === undefined || where === '' ? message : `${where}: ${message}`
  })
  throw new EngineError('invalid_input', `${what} does not fit: ${issues.join('; ')}`, {
    details: { ...about, issues },
  })
}

/** A schema that throws refuses its value like one that names issues. */
async function validate(what: string, schema: StandardSchemaV1, value: unknown, about: About) {
  try {
    return await schema['~standard'].validate(value)
  } catch (cause) {
    throw new EngineError('invalid_input', `the schema of ${what} threw: ${String(cause)}`, {
      cause,
      details: about,
    })
  }
}
