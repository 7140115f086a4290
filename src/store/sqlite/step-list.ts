import type { Page } from '../../contract/common.ts'
import type { StepAttempt, StepsQuery } from '../../contract/step.ts'
import { decodeCursor } from '../cursor.ts'
import type { Connection } from './connection.ts'
import { type Order, prepareScan, readPage } from './scan.ts'
import { STEP_COLUMNS, decodeStep } from './step-attempts.ts'

const WALK = `FROM step_attempts WHERE run_id = +? AND step_attempt_id > ? AND step_attempt_id < ?`

export function stepList(db: Connection) {
  const prepared = (order: Order) =>
    prepareScan(db, {
      columns: STEP_COLUMNS.join(', '),
      walk: WALK,
      key: 'step_attempt_id',
      order,
      passes: 'true',
    })
  const scans = { asc: prepared('asc'), desc: prepared('desc') }

  return (run_id: string, { limit, cursor, order = 'asc' }: StepsQuery): Page<StepAttempt> => {
    const list = { list: 'steps', run_id, order }
    const position = cursor === undefined ? null : decodeCursor<string>(list, cursor, 'string')
    const low = order === 'asc' && position !== null ? position : ''
    const high = order === 'desc' && position !== null ? position : '8'
    return readPage({
      list,
      limit,
      scan: scans[order],
      walk: [run_id, low, high],
      position: (row) => row[0] as string,
      decode: decodeStep,
    })
  }
}
